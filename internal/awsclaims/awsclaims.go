// Package awsclaims names the claims of a web identity token that AWS STS reads
// a session out of.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
package awsclaims

// The claims. Tags come in a nested form, one object under Tags, and in a flat
// one, a claim for each tag; a token may have either or both.
const (
	// Tags is an object with the members PrincipalTags and TransitiveTagKeys.
	Tags = "https://aws.amazon.com/tags"
	// FlatTagPrefix, followed by a tag's key, is a claim with its value.
	FlatTagPrefix = Tags + "/" + PrincipalTags + "/"
	// FlatTransitiveTagKeys is a list of keys.
	FlatTransitiveTagKeys = Tags + "/" + TransitiveTagKeys
	// SourceIdentity is a text.
	SourceIdentity = "https://aws.amazon.com/source_identity"
	// Roles are the ARNs of the roles that the token may buy, as a list or as
	// one text with semicolons. A token without it may buy any role.
	Roles = "https://aws.amazon.com/roles"
	// IdentityPoolARN is the ARN of the Cognito identity pool that the token is
	// of. STS does not read it.
	IdentityPoolARN = "https://cognito-identity.amazonaws.com/identity-pool-arn"
)

// The members of Tags.
const (
	PrincipalTags     = "principal_tags"      // an object: key to a list of one value
	TransitiveTagKeys = "transitive_tag_keys" // a list of keys that role chaining inherits
)
