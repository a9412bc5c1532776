package explain

import (
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
			if v == host {
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
