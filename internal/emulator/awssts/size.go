package awssts

import (
	"github.com/stint-dev/stint/iam"
)

const (
	// maxSessionToken is the one cap on a session's size, in bytes.
	maxSessionToken = 4096
	// fixedSize is about what a session token has that carries nothing.
	fixedSize = 1000
)

// sessionTokenSize estimates the size of a session token, in bytes. AWS does
// not document how it is made up: captures fit a fixed part and the base64 of
// what the session carries.
func sessionTokenSize(a *assumption) int {
	n := len(a.token.subject) + len(a.token.audience) + len(a.session.sourceIdentity) + policyBytes(a)
	switch amr := a.token.claims["amr"].(type) {
	case string:
		n += len(amr)
	case []any:
		for _, v := range amr {
			text, _ := v.(string)
			n += len(text)
		}
	}
	return fixedSize + encoded(n)
}

// policyBytes is what tags and session policies hold, in bytes.
func policyBytes(a *assumption) int {
	n := len(a.in.Policy)
	for _, t := range a.session.tags {
		n += len(t.Key) + len(t.Value)
	}
	for _, key := range a.session.transitive {
		n += len(key)
	}
	for _, arn := range a.in.PolicyARNs {
		n += len(arn)
	}
	return n
}

// encoded is the size of n bytes in base64.
func encoded(n int) int { return (4*n + 2) / 3 }

// percent is the part of the cap that n bytes take, cut to a whole number: so
// it agrees with the captures.
func percent(n int) int32 { return int32(100 * n / maxSessionToken) }

// checkSessionPolicy checks the policy that a caller narrows the session with.
func checkSessionPolicy(document string) *fault {
	if document == "" {
		return nil
	}
	p, err := iam.ParsePolicy([]byte(document))
	if err != nil {
		return malformedPolicy("Syntax errors in policy.").because("%s", err)
	}
	for _, statement := range p.Statements {
		if statement.Principal != nil || statement.NotPrincipal != nil {
			return malformedPolicy("Policy document should not specify a principal.")
		}
		if statement.Resource == nil && statement.NotResource == nil {
			return malformedPolicy("Policy statement must contain resources.")
		}
	}
	return nil
}
