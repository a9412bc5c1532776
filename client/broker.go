package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The names of RFC 8693, sections 2.1 and 3.
const (
	grantTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeJWT            = "urn:ietf:params:oauth:token-type:jwt"
)

// maxBrokerAnswer bounds an answer of the broker, in bytes. A denial lists
// every rule, and there may be thousands.
const maxBrokerAnswer = 4 << 20

// Broker trades job tokens at a stint broker.
type Broker struct {
	URL   string       // its address, https or http on loopback: STINT_URL
	HTTP  *http.Client // nil: a default one. Redirects are never followed
	Retry Retry
}

// ExchangeRequest is what a stint token is wanted for. All of it is optional.
type ExchangeRequest struct {
	Audience string // the aud wanted in the stint token; empty: the broker's default
	Role     string // the ARN of the role that it shall buy; empty: the first that the rules give
}

// Token is a stint token.
type Token struct {
	Raw       Secret
	ExpiresIn time.Duration // from when it was issued, in whole seconds
	Grant     Grant
}

// claimRoles names the roles that a token may buy at AWS STS.
const claimRoles = "https://aws.amazon.com/roles"

// Role is the ARN of the one role that the token can buy. The signature is not
// looked at: the broker that sent the token is whom the job trusts.
func (t Token) Role() (string, error) {
	parts := strings.Split(t.Raw.Reveal(), ".")
	if len(parts) != 3 {
		return "", errors.New("reading the role out of the stint token: it is no JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", errors.New("reading the role out of the stint token: its payload is not base64url")
	}
	var claims map[string]json.RawMessage
	if err := json.Unmarshal(payload, &claims); err != nil {
		return "", errors.New("reading the role out of the stint token: its payload is no JSON object")
	}
	var roles []string
	if json.Unmarshal(claims[claimRoles], &roles) != nil || len(roles) != 1 || roles[0] == "" {
		return "", fmt.Errorf("the stint token names no single role in %s: the rule that matched gives no AWS role", claimRoles)
	}
	return roles[0], nil
}

// Exchange trades a job token for a stint token by OAuth 2.0 token exchange
// (RFC 8693). The error is a *DeniedError for a no of the broker, and an
// *UnavailableError for a broker that could not answer.
func (b Broker) Exchange(ctx context.Context, jobToken Secret, req ExchangeRequest) (Token, error) {
	endpoint, err := b.endpoint("/token")
	if err != nil {
		return Token{}, err
	}
	form := url.Values{
		"grant_type":           {grantTokenExchange},
		"subject_token":        {jobToken.Reveal()},
		"subject_token_type":   {typeJWT},
		"requested_token_type": {typeJWT},
	}
	if req.Audience != "" {
		form.Set("audience", req.Audience)
	}
	if req.Role != "" {
		form.Set("resource", req.Role)
	}
	c := guarded(b.HTTP, maxBrokerAnswer)
	var token Token
	err = b.Retry.do(ctx, func() error {
		token, err = exchange(ctx, c, endpoint, form.Encode())
		return err
	})
	if err != nil {
		return Token{}, fmt.Errorf("exchanging the job token at the broker: %w", err)
	}
	return token, nil
}

// endpoint is the address of a door.
func (b Broker) endpoint(door string) (string, error) {
	u, err := address("STINT_URL", b.URL)
	if err != nil {
		return "", err
	}
	if u.RawQuery != "" {
		return "", &SettingError{Setting: "STINT_URL", Detail: "must not have a query", Hint: "give the broker's address, as its issuer stands in stint.yaml"}
	}
	return strings.TrimSuffix(u.String(), "/") + door, nil
}

// answer is RFC 8693 section 2.2.1 or RFC 6749 section 5.2, and denial is
// stint's own member.
type answer struct {
	AccessToken     string  `json:"access_token"`
	IssuedTokenType string  `json:"issued_token_type"`
	ExpiresIn       float64 `json:"expires_in"`
	Grant           Grant   `json:"grant"`

	Error       string `json:"error"`
	Description string `json:"error_description"`
	Denial      *struct {
		Record string       `json:"record"`
		Reason string       `json:"reason"`
		Detail string       `json:"detail"`
		Hint   string       `json:"hint"`
		Rules  []RuleResult `json:"rules"`

		Closest    *RuleTrace `json:"closest"`
		Suggestion string     `json:"suggestion"`
		Warning    string     `json:"warning"`
	} `json:"denial"`
}

func exchange(ctx context.Context, c *http.Client, endpoint, form string) (Token, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form))
	if err != nil {
		return Token{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	resp, body, err := send(c, r)
	if err != nil {
		return Token{}, err
	}
	var a answer
	isJSON := isJSON(resp.Header) && json.Unmarshal(body, &a) == nil
	fail := func(detail string) error {
		return &BrokerError{Status: resp.StatusCode, Code: clean(a.Error), Message: detail}
	}
	switch {
	case temporaryStatus(resp.StatusCode):
		return Token{}, &transient{fail(clean(a.Description)), retryAfter(resp.Header)}
	case !isJSON:
		return Token{}, fail("expected JSON; is STINT_URL the address of a stint broker?")
	case resp.StatusCode == http.StatusOK:
		return readToken(a, fail)
	}
	switch a.Error {
	// RFC 8693 section 2.2.2: invalid_request is also the answer to a token
	// that is not accepted, and nothing else in this request can be wrong.
	case "invalid_target", "invalid_request", "invalid_grant", "access_denied", "unauthorized_client":
		return Token{}, a.denied()
	}
	return Token{}, fail(clean(a.Description))
}

func readToken(a answer, fail func(string) error) (Token, error) {
	if a.IssuedTokenType != typeJWT {
		return Token{}, fail(fmt.Sprintf("expected the issued_token_type %s, found %q", typeJWT, clean(a.IssuedTokenType)))
	}
	raw, err := checkToken(a.AccessToken, fail)
	if err != nil {
		return Token{}, err
	}
	if a.ExpiresIn < 0 || a.ExpiresIn > (24*time.Hour).Seconds() {
		return Token{}, fail("expires_in is out of range")
	}
	if err := a.Grant.checkChain(); err != nil {
		return Token{}, fail(err.Error())
	}
	return Token{Raw: raw, ExpiresIn: time.Duration(a.ExpiresIn) * time.Second, Grant: a.Grant.cleaned()}, nil
}

func (a answer) denied() *DeniedError {
	e := &DeniedError{Code: clean(a.Error), Message: clean(a.Description)}
	if d := a.Denial; d != nil {
		e.Record, e.Reason, e.Detail, e.Hint = clean(d.Record), clean(d.Reason), clean(d.Detail), clean(d.Hint)
		e.Rules = d.Rules
		for i := range e.Rules {
			e.Rules[i].clean()
		}
		e.Suggestion, e.Warning = clean(d.Suggestion), clean(d.Warning)
		if e.Closest = d.Closest; e.Closest != nil {
			e.Closest.clean()
		}
	}
	return e
}

func (r *RuleResult) clean() {
	r.Rule, r.Effect = clean(r.Rule), clean(r.Effect)
	if m := r.Miss; m != nil {
		m.Claim, m.Found, m.Detail = clean(m.Claim), clean(m.Found), clean(m.Detail)
		for i := range m.Expected {
			m.Expected[i] = clean(m.Expected[i])
		}
	}
}

func (t *RuleTrace) clean() {
	t.Rule, t.Effect = clean(t.Rule), clean(t.Effect)
	for i := range t.Conditions {
		c := &t.Conditions[i]
		c.Operator, c.Key, c.Note = clean(c.Operator), clean(c.Key), clean(c.Note)
		for i := range c.Expected {
			c.Expected[i] = clean(c.Expected[i])
		}
		for i := range c.Actual {
			c.Actual[i] = clean(c.Actual[i])
		}
	}
}

func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}
