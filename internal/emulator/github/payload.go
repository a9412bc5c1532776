package github

import "time"

// Payload is what the token of such a job says, without any of one token's own
// claims (aud, jti and the times): a captured job for tests of policies. issuer
// is its iss.
func (j Job) Payload(issuer string) (map[string]any, error) {
	j, err := j.filled()
	if err != nil {
		return nil, err
	}
	c := j.payload(issuer, "", "", time.Time{}, 0)
	for _, name := range []string{"aud", "jti", "iat", "nbf", "exp"} {
		if _, own := j.Claims[name]; !own {
			delete(c, name)
		}
	}
	return c, nil
}
