package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/stint-dev/stint/iam"
)

// Provider is the ARN of the OIDC provider that STS takes for a token: that of
// the issuer in the role's account. Where the role is not known, the account
// is that of the provider of this issuer which the policy names, or else of
// the first. It is empty where neither says which account it is.
func Provider(p *iam.Policy, roleARN, issuer string) string {
	host := strings.TrimSuffix(hostOf(issuer), "/")
	partition, account := "aws", ""
	if parts := strings.SplitN(roleARN, ":", 6); len(parts) == 6 {
		partition, account = parts[1], parts[4]
	} else {
		for _, v := range federated(p) {
			if v == host {
				return host // one that AWS has built in
			}
			parts := strings.SplitN(v, ":", 6)
			if len(parts) < 6 {
				continue
			}
			same := strings.TrimPrefix(parts[5], "oidc-provider/") == host
			if account == "" || same {
				partition, account = parts[1], parts[4]
			}
			if same {
				break
			}
		}
	}
	if roleARN != "" {
		for _, v := range federated(p) {
			if v == host && slices.Contains(builtIn, host) {
				return host
			}
		}
	}
	if account == "" {
		return ""
	}
	return "arn:" + partition + ":iam::" + account + ":oidc-provider/" + host
}

func federated(p *iam.Policy) []string {
	var all []string
	for _, s := range p.Statements {
		if s.Principal != nil {
			all = append(all, s.Principal.Federated.Strings()...)
		}
	}
	return all
}

// builtIn are the issuers that need no provider in the account, and that a
// policy names by their host (IAM User Guide, "Creating a role for web identity
// or OpenID Connect federation").
var builtIn = []string{"accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com", "www.amazon.com"}

var providerARN = regexp.MustCompile(`^arn:[a-z-]+:iam::\d{12}:oidc-provider/[^:/]+(:\d+)?(/[^:]*)?$`)

// notProvider reports whether a Federated principal can mean no OIDC provider,
// and no other either.
func notProvider(principal string) bool {
	return !providerARN.MatchString(principal) && !slices.Contains(builtIn, principal) && !strings.Contains(principal, ":saml-provider/") && principal != "*"
}

func noProvider(principal, host string) string {
	return fmt.Sprintf("the Federated principal %q is no ARN of a provider: it is written as arn:aws:iam::ACCOUNT:oidc-provider/%s, with the account's twelve digits and without https://", short(principal), host)
}
