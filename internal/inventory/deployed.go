package inventory

import (
	"regexp"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// account and partition are what templates call the account and the partition
// that they are deployed to.
var (
	accountText   = regexp.MustCompile(`^(!Ref |\$\{)(AWS::AccountId|data\.aws_caller_identity\.[A-Za-z0-9_-]+\.(account_id|id))\}?$`)
	partitionText = regexp.MustCompile(`^(!Ref |\$\{)(AWS::Partition|data\.aws_partition\.[A-Za-z0-9_-]+\.partition)\}?$`)
)

// Deployed is the policy as it is in an account of the partition aws: what
// stands for the account, for the partition, and for the ARNs of the providers
// is known then. Everything else that was not known still is not.
func (p *Policy) Deployed(account string, providers []Provider) *Policy {
	if p == nil || p.Full != nil || p.Node == nil {
		return p
	}
	d := deployment{account, providers}
	return ParsePolicy(d.node(p.Node))
}

type deployment struct {
	account   string
	providers []Provider
}

func (d deployment) node(n *source.Node) *source.Node {
	out := *n
	out.Items, out.Fields = nil, nil
	if out.Text = d.text(n.Text); n.Kind == source.KindUnknown {
		if _, known := out.Text.Known(); known {
			out.Kind = source.KindString
		}
	}
	for _, i := range n.Items {
		out.Items = append(out.Items, d.node(i))
	}
	for _, f := range n.Fields {
		out.Fields = append(out.Fields, source.NewField(d.text(f.Key), d.node(f.Value)))
	}
	return &out
}

func (d deployment) text(t source.Text) source.Text {
	if _, known := t.Known(); known {
		return t
	}
	out := source.Text{Position: t.Position}
	for _, p := range t.Parts {
		if s, ok := d.part(p); ok {
			p = source.Part{Literal: s}
		}
		out = source.Join(out, source.Text{Parts: []source.Part{p}})
	}
	out.Position = t.Position
	return out
}

// part is what an unknown part is in the account.
func (d deployment) part(p source.Part) (string, bool) {
	switch {
	case p.Unknown == "":
		return "", false
	case accountText.MatchString(p.Unknown):
		return d.account, true
	case partitionText.MatchString(p.Unknown):
		return "aws", true
	case p.Resource == "":
		return "", false
	}
	i := slices.IndexFunc(d.providers, func(o Provider) bool { return o.Address == p.Resource })
	if i < 0 || !strings.EqualFold(p.Attribute, "arn") && p.Attribute != "Ref" && p.Attribute != "id" {
		return "", false
	}
	url, ok := d.providers[i].URL.Known()
	if !ok || url == "" {
		return "", false
	}
	return "arn:aws:iam::" + d.account + ":oidc-provider/" + strings.TrimPrefix(url, "https://"), true
}
