package awssts

import (
	"slices"
	"strings"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/roles"
)

const (
	// defaultAudience is what AWS's own clients ask for.
	defaultAudience = "sts.amazonaws.com"
	// maxAudiences is IAM's limit for one provider.
	maxAudiences = 100
)

type provider struct {
	Provider
	host string // the issuer without https://, as in ARNs and condition keys
}

// arn is the provider's ARN in an account.
func (p *provider) arn(partition, account string) string {
	return "arn:" + partition + ":iam::" + account + ":oidc-provider/" + p.host
}

// account is what stands in one account, beside its roles.
type account struct {
	partition string
	audiences map[string]map[string]bool // by issuer: the registered audiences
}

// accountsOf collects the accounts of the roles, each with every provider.
func accountsOf(set *roles.Set, providers map[string]*provider) map[string]account {
	accounts := map[string]account{}
	for _, r := range set.All() {
		a, ok := accounts[r.AccountID]
		if !ok {
			a = account{partition: r.Partition, audiences: map[string]map[string]bool{}}
			for issuer, p := range providers {
				registered := map[string]bool{defaultAudience: true}
				for _, audience := range p.Audiences {
					registered[audience] = true
				}
				a.audiences[issuer] = registered
			}
			accounts[r.AccountID] = a
		}
		for issuer, p := range providers {
			for _, audience := range namedAudiences(r.Trust, p.host) {
				a.audiences[issuer][audience] = true
			}
		}
	}
	return accounts
}

// namedAudiences are the literal values that allowing statements of a trust
// policy compare the provider's :aud with. What only a pattern, a variable or
// a negation would let in is not registered by it.
func namedAudiences(p *iam.Policy, host string) []string {
	key := host + ":aud"
	var names []string
	for _, statement := range p.Statements {
		if statement.Effect != iam.EffectAllow {
			continue
		}
		for _, c := range statement.Conditions {
			if !strings.EqualFold(c.Key, key) || c.Negated() || !strings.HasPrefix(c.Test, "String") {
				continue
			}
			for _, v := range c.Values {
				if !strings.ContainsAny(v.Text, "*?$") && !slices.Contains(names, v.Text) {
					names = append(names, v.Text)
				}
			}
		}
	}
	return names
}
