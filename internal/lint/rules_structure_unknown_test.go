package lint

import "testing"

// TestStructureUnknown: what depends on what only a deployment tells is unknown,
// and what does not depend on it is decided.
func TestStructureUnknown(t *testing.T) {
	const sub = `"gh:sub":"repo:octo-org/octo-repo:ref:refs/heads/main"`
	one := func(host, condition string) world { return world{trust: trustFor(host, condition)} }
	for rule, cases := range map[string][]worldCase{
		"for-all-values": {
			{"further conditions may be", one(github, `{"ForAllValues:StringEquals":{`+sub+`},"@@":{}}`), "unknown: whether something else asks"},
			{"demanded all the same", one(github, `{"ForAllValues:StringEquals":{`+sub+`},"Null":{"gh:sub":"false"},"@@":{}}`), ""},
			{"a value is not known", one(github, `{"ForAllValues:StringEquals":{"gh:sub":"@@"}}`), "holds for a request that has no such key"},
		},
		"if-exists": {
			{"further conditions may be", one(github, `{"StringEqualsIfExists":{`+sub+`},"@@":{}}`), "unknown: whether something else asks"},
			{"all conditions are unknown", one(github, `"@@"`), ""},
		},
		"negated-only": {
			{"further conditions may be", one(github, `{"StringNotEquals":{"gh:sub":"x"},"@@":{}}`), "unknown: whether something says"},
			{"the provider is not known", one("@@", `{"StringNotEquals":{"`+github+`:sub":"x"}}`), "only says which subjects may not"},
			{"the value is not known", one(github, `{"StringNotEquals":{"gh:sub":"@@"}}`), "only says which subjects may not"},
		},
		"literal-wildcard": {
			{"beside what is not known", one(github, `{"StringEquals":{"gh:sub":"repo:@@:*"}}`), "takes the wildcard"},
			{"not suspected", one(github, `{"StringEquals":{"gh:sub":"repo:@@"}}`), ""},
			{"the whole list is not known", one(github, `{"StringEquals":{"gh:sub":"@@"}}`), ""},
		},
		"variable-in-value": {
			{"beside what is not known", one(github, `{"StringEquals":{"gh:sub":"@@${`+github+`:sub}"}}`), "compares"},
			{"the Version is not known", world{trust: `{"Version":"@@","Statement":[` + allowFor(github, `{"StringEquals":{"gh:sub":"${`+github+`:sub}"}}`) + `]}`}, "unknown: "},
		},
		"misspelt-host": {
			{"the provider is not known", one("@@", `{"StringEquals":{"token.action.githubusercontent.com:sub":"x"}}`), "close to"},
			{"another provider may be", one("@@", `{"StringEquals":{"gitlab.com:sub":"x"}}`), ""},
			{"the key is not known", one(github, `{"StringEquals":{"@@":"x"}}`), ""},
		},
		"wrong-claim": {
			{"how the value begins is not known", one(github, `{"StringLike":{"gh:sub":"@@:octo-org/octo-repo"}}`), ""},
			{"only its end is not known", one(github, `{"StringLike":{"gh:sub":"project_path:@@"}}`), "is a subject of GitLab"},
			{"the provider is not known", one("@@", `{"StringLike":{"idp.example.com:sub":"project_path:x"}}`), ""},
			{"the ref is not known", one(github, `{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:ref:@@"}}`), ""},
		},
		"any-principal": {
			{"further conditions may be", world{trust: statements(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":"@@"}`)}, "unknown: everybody on AWS may ask"},
			{"narrowed all the same", world{trust: statements(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:PrincipalOrgID":"@@"},"@@":{}}}`)}, ""},
			{"the principal is not known", world{trust: statements(`{"Effect":"Allow","Principal":{"AWS":"@@"},"Action":"sts:AssumeRole"}`)}, ""},
		},
		"not-action": {
			{"the effect is not known", world{trust: statements(`{"Effect":"@@","Principal":"*","NotAction":"sts:TagSession"}`)}, "unknown: "},
		},
		"split-conditions": {
			{"further conditions may be", world{trust: statements(allowFor(github, `{"StringEquals":{"gh:aud":"a"},"@@":{}}`), allowFor(github, `{"StringEquals":{`+sub+`}}`))}, "unknown: whether the statement"},
			{"the provider is the same expression", world{trust: statements(allowFor("@@", `{"StringEquals":{"`+github+`:aud":"a"}}`), allowFor("@@", `{"StringEquals":{"`+github+`:sub":"x"}}`))}, "statements are alternatives"},
		},
	} {
		runWorlds(t, rule, cases)
	}
}
