package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// The variables by which GitHub Actions lets a job ask for its token.
const (
	envRequestURL   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	envRequestToken = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

// maxTokenAnswer bounds the answer of the token endpoint, in bytes.
const maxTokenAnswer = 64 << 10

// GitHub asks GitHub Actions for this job's token.
//
// https://docs.github.com/en/actions/reference/security/oidc
type GitHub struct {
	RequestURL   string       // ACTIONS_ID_TOKEN_REQUEST_URL
	RequestToken Secret       // ACTIONS_ID_TOKEN_REQUEST_TOKEN
	HTTP         *http.Client // nil: a default one. Redirects are never followed
	Retry        Retry
}

// GitHubFromEnv reads the request variables of a job that runs in GitHub
// Actions. The error is a *NotInJobError where they are missing, and says why.
func GitHubFromEnv(getenv func(string) string) (*GitHub, error) {
	g := &GitHub{RequestURL: getenv(envRequestURL), RequestToken: Secret(getenv(envRequestToken))}
	var missing []string
	if g.RequestURL == "" {
		missing = append(missing, envRequestURL)
	}
	if g.RequestToken == "" {
		missing = append(missing, envRequestToken)
	}
	if len(missing) > 0 {
		return nil, notInJob(getenv, missing)
	}
	return g, nil
}

// JobToken asks for a token with the given aud; with an empty one the platform
// chooses it. A job may ask as often as it likes while it runs.
func (g *GitHub) JobToken(ctx context.Context, audience string) (Secret, error) {
	u, err := address(envRequestURL, g.RequestURL)
	if err != nil {
		return "", err
	}
	if g.RequestToken == "" || strings.ContainsFunc(g.RequestToken.Reveal(), notPrintable) {
		return "", &SettingError{Setting: envRequestToken, Detail: "is empty or holds characters that no token has", Hint: "pass it on as GitHub set it"}
	}
	if audience != "" {
		// The URL has a query already; its other parameters stay as they are.
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += "audience=" + url.QueryEscape(audience)
	}
	c := guarded(g.HTTP, maxTokenAnswer)
	var token Secret
	err = g.Retry.do(ctx, func() error {
		token, err = g.ask(ctx, c, u.String())
		return err
	})
	if err != nil {
		return "", fmt.Errorf("asking GitHub for the job token: %w", err)
	}
	return token, nil
}

func (g *GitHub) ask(ctx context.Context, c *http.Client, address string) (Secret, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "bearer "+g.RequestToken.Reveal())
	r.Header.Set("Accept", "application/json")
	resp, body, err := send(c, r)
	if err != nil {
		return "", err
	}
	if temporaryStatus(resp.StatusCode) {
		return "", &transient{&TokenRequestError{resp.StatusCode, "it cannot answer now"}, retryAfter(resp.Header)}
	}
	var answer struct {
		Value   string `json:"value"`
		Message string `json:"message"`
	}
	parseErr := json.Unmarshal(body, &answer)
	if resp.StatusCode != http.StatusOK {
		detail := clean(answer.Message)
		switch {
		case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
			detail = "the request token is not accepted; it is good only while its job runs"
		// A server that echoes what it was sent must not bring the token into a log.
		case detail == "" || strings.Contains(answer.Message, g.RequestToken.Reveal()):
			detail = "expected 200 with a token"
		}
		return "", &TokenRequestError{resp.StatusCode, detail}
	}
	if parseErr != nil {
		return "", &TokenRequestError{resp.StatusCode, `expected JSON with a "value", found none`}
	}
	return checkToken(answer.Value, func(detail string) error { return &TokenRequestError{resp.StatusCode, detail} })
}

// checkToken refuses what cannot be a JWT in compact form.
func checkToken(raw string, fail func(detail string) error) (Secret, error) {
	switch {
	case raw == "":
		return "", fail("the token is empty")
	case len(raw) > maxToken:
		return "", fail(fmt.Sprintf("the token is larger than %d bytes", maxToken))
	case strings.Count(raw, ".") != 2 || strings.ContainsFunc(raw, notPrintable):
		return "", fail("what came is no JWT")
	}
	return Secret(raw), nil
}

func notPrintable(r rune) bool { return r <= ' ' || r > '~' }
