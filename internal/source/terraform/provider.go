package terraform

import (
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// providerAttributes are what others see of an OIDC provider: AWS gives its URL
// back without https://, as condition keys have it, whatever the argument was
// (terraform-provider-aws, aws_iam_openid_connect_provider). Of one that is
// looked up, the URL says the end of the ARN and the other way round.
func providerAttributes(n *source.Node, lookedUp bool) {
	n.Fields = slices.Clone(n.Fields)
	const mark = ":oidc-provider/"
	url, arn := n.Get("url"), n.Get("arn")
	if url != nil && url.Kind == source.KindString && len(url.Text.Parts) > 0 {
		bare := *url
		bare.Text.Parts = slices.Clone(url.Text.Parts)
		bare.Text.Parts[0].Literal = strings.TrimPrefix(bare.Text.Parts[0].Literal, "https://")
		bare.Text.Span = source.Span{}
		set(n, source.NewField(source.Literal("url"), &bare))
		if lookedUp && arn == nil {
			whole := source.Join(source.Literal("arn:"), source.UnknownText("${partition}"), source.Literal(":iam::"), source.UnknownText("${account}"), source.Literal(mark), bare.Text)
			set(n, source.NewField(source.Literal("arn"), str(url.Position, whole.At(url.Position, source.Span{}))))
		}
	}
	if text, known := knownText(arn); lookedUp && url == nil && known {
		if _, host, found := strings.Cut(text, mark); found {
			set(n, source.NewField(source.Literal("url"), str(arn.Position, source.Literal(host).At(arn.Position, source.Span{}))))
		}
	}
}

func knownText(n *source.Node) (string, bool) {
	if n == nil || n.Kind != source.KindString {
		return "", false
	}
	return n.Text.Known()
}
