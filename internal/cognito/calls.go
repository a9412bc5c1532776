package cognito

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stint-dev/stint/internal/config"
)

// Call is one call of the Cognito Identity API.
type Call struct {
	// Operation is the operation as the AWS command line names it.
	Operation string `json:"operation"`
	Region    string `json:"region"`
	Input     any    `json:"input"` // for --cli-input-json
}

type poolInput struct {
	IdentityPoolID   string   `json:"IdentityPoolId,omitempty"`
	IdentityPoolName string   `json:"IdentityPoolName"`
	Unauthenticated  bool     `json:"AllowUnauthenticatedIdentities"`
	Classic          bool     `json:"AllowClassicFlow"`
	Providers        []string `json:"OpenIdConnectProviderARNs"`
}

type rolesInput struct {
	IdentityPoolID string                  `json:"IdentityPoolId,omitempty"`
	Roles          map[string]string       `json:"Roles"`
	RoleMappings   map[string]mappingInput `json:"RoleMappings,omitempty"`
}

type mappingInput struct {
	IdentityProvider string     `json:"IdentityProvider,omitempty"` // of CloudFormation
	Type             string     `json:"Type"`
	Ambiguous        string     `json:"AmbiguousRoleResolution"`
	Rules            rulesInput `json:"RulesConfiguration"`
}

type rulesInput struct {
	Rules []ruleInput `json:"Rules"`
}

type ruleInput struct {
	Claim     string           `json:"Claim"`
	MatchType config.MatchType `json:"MatchType"`
	Value     string           `json:"Value"`
	RoleARN   string           `json:"RoleARN"`
}

type tagsInput struct {
	IdentityPoolID string            `json:"IdentityPoolId,omitempty"`
	Provider       string            `json:"IdentityProviderName"`
	UseDefaults    bool              `json:"UseDefaults"`
	PrincipalTags  map[string]string `json:"PrincipalTags"`
}

// Calls make Cognito's pool equal to p. With create they make a new one, whose
// id Cognito chooses, so that the inputs behind the first lack IdentityPoolId.
func (p *Exported) Calls(create bool) []Call {
	id, first := p.ID, "update-identity-pool"
	if create {
		id, first = "", "create-identity-pool"
	}
	calls := []Call{
		{first, p.Region, p.poolInput(id)},
		{"set-identity-pool-roles", p.Region, p.rolesInput(id)},
	}
	for _, v := range p.Providers {
		// No tags are set too: the pool may have some from before.
		calls = append(calls, Call{"set-principal-tag-attribute-map", p.Region, tagsInput{id, v.ARN, false, v.Tags}})
	}
	return calls
}

func (p *Exported) poolInput(id string) poolInput {
	in := poolInput{IdentityPoolID: id, IdentityPoolName: p.Name, Classic: p.Classic, Providers: []string{}}
	for _, v := range p.Providers {
		in.Providers = append(in.Providers, v.ARN)
	}
	return in
}

func (p *Exported) rolesInput(id string) rolesInput {
	in := rolesInput{IdentityPoolID: id, Roles: map[string]string{}, RoleMappings: map[string]mappingInput{}}
	if p.DefaultRole != "" {
		in.Roles["authenticated"] = p.DefaultRole
	}
	for _, v := range p.Providers {
		if len(v.Rules) > 0 {
			in.RoleMappings[v.ARN] = v.mapping()
		}
	}
	return in
}

func (v *ExportedProvider) mapping() mappingInput {
	m := mappingInput{Type: "Rules", Ambiguous: "Deny"}
	if v.DefaultOnNoMatch {
		m.Ambiguous = "AuthenticatedRole"
	}
	for _, r := range v.Rules {
		m.Rules.Rules = append(m.Rules.Rules, ruleInput{r.Claim, r.Type, r.Value.Value, r.Role.Value})
	}
	return m
}

// dynamicReference begins what CloudFormation replaces in any text, by a value
// that it reads elsewhere. There is no way to escape it.
const dynamicReference = "{{resolve:"

// Template is a CloudFormation template with the pools, as JSON. The pools are
// new ones, whose ids Cognito chooses. A rule that compares with what
// CloudFormation would replace is an error.
func Template(pools []Exported) ([]byte, error) {
	type resource struct {
		Type       string `json:"Type"`
		Properties any    `json:"Properties"`
	}
	type roles struct {
		Pool         map[string]string       `json:"IdentityPoolId"`
		Roles        map[string]string       `json:"Roles"`
		RoleMappings map[string]mappingInput `json:"RoleMappings,omitempty"`
	}
	type tags struct {
		Pool        map[string]string `json:"IdentityPoolId"`
		Provider    string            `json:"IdentityProviderName"`
		UseDefaults bool              `json:"UseDefaults"`
		Tags        map[string]string `json:"PrincipalTags"`
	}
	type output struct {
		Value map[string]string `json:"Value"`
	}
	all, outputs := map[string]resource{}, map[string]output{}
	for i := range pools {
		p := &pools[i]
		name := logicalID(p.Name, func(s string) bool { _, taken := outputs["Pool"+s]; return taken })
		ref := map[string]string{"Ref": "Pool" + name}
		all["Pool"+name] = resource{"AWS::Cognito::IdentityPool", p.poolInput("")}
		outputs["Pool"+name] = output{ref}
		mappings := map[string]mappingInput{}
		for j, v := range p.Providers {
			for _, r := range v.Rules {
				if strings.Contains(r.Value.Value, dynamicReference) {
					return nil, fmt.Errorf("%s: the rule for %s compares with %.100q, which CloudFormation would replace by another value", p.Name, r.Claim, r.Value.Value)
				}
			}
			if len(v.Rules) > 0 {
				m := v.mapping()
				m.IdentityProvider = v.ARN
				mappings[fmt.Sprintf("Provider%d", j+1)] = m
			}
			if len(v.Tags) > 0 {
				all[fmt.Sprintf("Tags%dOf%s", j+1, name)] = resource{"AWS::Cognito::IdentityPoolPrincipalTag", tags{ref, v.ARN, false, v.Tags}}
			}
		}
		all["Roles"+name] = resource{"AWS::Cognito::IdentityPoolRoleAttachment", roles{ref, p.rolesInput("").Roles, mappings}}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(struct {
		Version   string              `json:"AWSTemplateFormatVersion"`
		Resources map[string]resource `json:"Resources"`
		Outputs   map[string]output   `json:"Outputs"`
	}{"2010-09-09", all, outputs})
	if err != nil {
		return nil, fmt.Errorf("writing the template: %w", err)
	}
	return b.Bytes(), nil
}

// logicalID makes a name of letters and digits that is not taken.
func logicalID(name string, taken func(string) bool) string {
	var b strings.Builder
	upper := true
	for _, c := range name {
		switch {
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'z' && !upper || c >= 'A' && c <= 'Z':
			b.WriteRune(c)
			upper = false
		case c >= 'a' && c <= 'z':
			b.WriteRune(c - 'a' + 'A')
			upper = false
		default:
			upper = true
		}
	}
	id := b.String()
	for n := 2; taken(id); n++ {
		id = fmt.Sprintf("%sNo%d", b.String(), n)
	}
	return id
}
