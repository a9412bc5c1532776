// Package awssts emulates AWS STS: AssumeRoleWithWebIdentity, decided by the
// trust policies of the given roles; AssumeRole, decided by the trust policy and
// the caller's policies; and GetCallerIdentity. The signatures of the last two
// are verified with the credentials that were given out. Any client of the
// service works with it. It is for development and tests: its credentials mean
// nothing to AWS.
//
// Limits, codes, messages and the order of checks are those of the service's
// model, its documentation and published captures of its answers.
//
// # Divergences
//
// Where the service's behaviour is not known, or cannot be had on one machine:
//
//   - OIDC providers exist in every account in which a role stands. The
//     audiences registered with them are sts.amazonaws.com, the configured
//     ones, and the literal values that allowing statements of the account's
//     trust policies compare the provider's :aud with.
//   - Key sets come from a function, not from discovery, and are not cached.
//   - The size of a session is an estimate: 1000 bytes and 4/3 of what it
//     carries. The session token is random text of that size.
//   - An algorithm other than the six answers as a signature that does not
//     verify; a key that is not meant for the algorithm as one that is missing.
//   - Timestamps that are no whole number are invalid.
//   - Tags of a token beyond the limits, doubled, reserved, or transitive
//     without being a tag, answer as tags in a wrong format. A source identity in a wrong
//     format answers with a message of the same form.
//   - A roles claim that does not name the role answers as a trust policy that
//     denies.
//   - The messages of IDPCommunicationError, MalformedPolicyDocument,
//     MissingAction, and of answers without an operation (405, 413, unknown
//     paths) are not verified.
//   - Signatures are valid for every region unless one is configured.
//     X-Amz-Expires is ignored: a presigned request is good for 15 minutes.
//   - Managed session policies need not exist; their ARNs are checked for
//     length only. One whose document is not known, or that is of another
//     account than the role, allows nothing.
//   - Callers of AssumeRole are sessions of roles: there are no IAM users, and
//     no service control and resource control policies.
//   - The messages of AssumeRole for tags that are doubled, reserved, inherited,
//     or transitive without being passed are not verified.
//   - AssumeRole holds the limits of durations and tags, and the source
//     identity, against a call before it asks the policies. A role that does
//     not exist answers as one that denies and has no longest session.
//   - SerialNumber, TokenCode and ProvidedContexts are ignored.
//   - aws:SourceIp is the caller's address on loopback unless one is
//     configured.
package awssts
