// Package iam parses, evaluates and explains AWS IAM policies.
//
// It is pure: no I/O, no clock, no state. A policy is compiled once, is
// immutable after that, and may be used by any number of goroutines. Deciding
// uses no regular expressions and takes time linear in what is compared,
// whatever wildcards the policy is made of.
//
// # Recommended path
//
// For the question whether a CI job's token may assume a role, give the
// role's trust policy to [ParsePolicy] and the call to [EvaluateWebIdentity].
// It derives the condition keys that AWS derives, evaluates
// sts:AssumeRoleWithWebIdentity, sts:TagSession and sts:SetSourceIdentity as
// AWS does, and returns every condition with what was expected, what was
// found, where it stands in the document and whether it matched.
//
// For what a session may do then, give its [Caller] with all policies that
// apply to [Authorize]: identity, boundary, session and control policies and
// the resource's own, in one account and across accounts. [WebIdentityCall.Session]
// is the session of a web identity call. For role chaining, give the call to
// [EvaluateAssumeRole]; [AssumeRoleCall.Session] is the session that it makes.
//
// For one policy alone, fill in a [Request] and call [Policy.Evaluate], or
// [Policy.Decide] where only the verdict matters; the two always agree. Set
// Request.IdentityPolicy for policies that are attached to a caller; without
// it a statement that names no Principal allows nothing. A verdict of these is
// about that policy: [StatementResult].ByAccount says where a trust policy only
// delegates to the caller's account.
//
// # What is checked when parsing
//
// [ParsePolicy] is strict: unknown elements and operators, doubled keys, data
// after the policy, wrong types and both or neither of two exclusive elements
// are a [SyntaxError] with line, column and path. Names of elements and
// operators are case-sensitive. It does not check quotas, that Sids are
// unique, that actions, keys or principals exist, or that a date is one: that
// is the work of a linter.
//
// # Rules worth knowing
//
//   - An explicit deny wins, then an allow, else the implicit deny.
//   - A missing key fails a condition; it satisfies a negated operator, any
//     operator with IfExists, and ForAllValues. A key without a value counts
//     as missing.
//   - Values of a list are alternatives; under a negated operator none may
//     match. Keys and operators must all hold. Statements are alternatives.
//   - Names of condition keys and actions compare in any case, everything
//     else exactly.
//   - ${...} is a variable only under Version 2012-10-17, only in Resource
//     (after the fifth colon) and in conditions of strings and ARNs. The value
//     put in for it is plain text. A variable without a value equals nothing.
//   - In strings * and ? match across / and :. In ARNs each of the first five
//     parts is compared by itself, also under ArnEquals.
//   - Principals compare exactly. {"AWS": "*"} does not match a federated
//     caller, "*" does. A role's ARN means all its sessions.
//
// # Where AWS is silent
//
// Some cases AWS's pages leave open, or contradict each other on. In each the
// reading was chosen that keeps the caller out: a statement that allows does
// not match, and one that denies does. Silent in [ConditionResult] and
// [StatementResult] marks them, and Note says which case it is.
//
//   - An operator without ForAllValues or ForAnyValue on a key with several
//     values. (A Deny matches if any of the values would satisfy it.)
//   - ForAllValues with a negated operator on a missing key: the rules say it
//     holds, AWS's table for ForAllValues:StringNotLike says it does not.
//   - The empty string: beside other values under ForAllValues, as the only
//     match under ForAnyValue, and under Null. ForAllValues on the empty
//     string alone holds, which is documented.
//   - A value that is not of the operator's type, in the policy or in the
//     request: 10abc, 1e3 or +1 for a number, a date outside of W3C-DTF, bad
//     base64, text for an ARN or an address, and variables where an operator
//     takes none.
//   - Four digits for a date, where the year and the second give different
//     answers.
//   - Bool: policy variables (one page says yes, another no), and true or
//     false in another case.
//   - An ARN pattern of fewer than six parts, such as a bare *. In Resource,
//     too, except for the bare * itself.
//   - Variables: malformed ones, keys with several values, an empty default, a
//     default for a key that is there but empty, a * or ? in the value (plain
//     text and pattern give different answers), and NotResource with a
//     variable that has no value.
//   - An IPv4 address written as IPv6 (::ffff:192.0.2.1) against IPv4 ranges,
//     and an IPv6 address without a prefix, which is the address alone or /32.
//   - Letters outside ASCII that differ in case, under ...IgnoreCase.
//   - An empty list of values under a negated operator.
//   - "*" for a Federated, Service or CanonicalUser principal, and
//     {"AWS": "*"} for a service, a canonical user or an anonymous caller.
//   - NotPrincipal: with Allow, which AWS does not support, it matches nobody.
//     With Deny it excepts an AWS caller only where every ARN of the caller,
//     its account's included, is listed, which is documented, and a federated
//     caller never, unless it is "*".
//   - A statement without a Principal in a resource-based policy, and one
//     without a Resource in an identity-based policy. AWS stores neither.
//
// Of several policies together:
//
//   - sts:TagSession for tags that are only inherited: AWS's pages speak of tags
//     that are passed, users report denials without it. It is evaluated.
//   - aws:RequestTag has what the call passes, and nothing of what is inherited.
//   - Session policies and a user that the resource's policy names: AWS exempts
//     users from the boundary's implicit deny only, so session policies limit.
//
// Further choices, about the context of a web identity call:
//
//   - All keys of the call are there for each of the three actions.
//   - sts:RoleAuthorizedByIdp is false, not absent, where the token has no
//     roles claim, so that a Deny on false and an Allow with BoolIfExists on
//     true keep it out.
//   - sts:DurationSeconds is absent: the Service Authorization Reference has
//     it for GetServiceBearerToken and GetWebIdentityToken only.
//   - aws:FederatedProvider is the ARN of the provider, as documented for
//     trust policies.
//   - A claim of a known issuer that is a list becomes a key with several
//     values; one that is an object or null leaves its key absent.
package iam
