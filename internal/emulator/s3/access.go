package s3

import (
	"strconv"
	"strings"
	"time"

	"github.com/stint-dev/stint/iam"
)

// authorize asks the policies whether the caller may do this, and tells of the
// decision. A nil fault allows.
func (c *call) authorize(action, resource string, keys map[string]string) *fault {
	result := iam.Authorize(c.access(action, resource, keys))
	allowed := result.Decision == iam.Allow
	d := Decision{
		Time: c.now, RequestID: c.id, Operation: c.operation, Caller: callerARN(c.session.Caller), SourceIP: c.sourceIP,
		Action: action, Resource: resource, Allowed: allowed, Reason: result.Reason, Denied: result.Denied, Result: result,
	}
	if c.s.cfg.OnDecision != nil {
		c.s.cfg.OnDecision(d)
	}
	if allowed {
		return nil
	}
	message := "Access Denied"
	if !result.CrossAccount || c.sameOrganization() {
		message = "User: " + d.Caller + " is not authorized to perform: " + action + " on resource: \"" + resource + "\" " + because(result, action)
	}
	return forbidden("AccessDenied", message).because("%s", result.Reason)
}

// access is the request as the policies see it.
func (c *call) access(action, resource string, keys map[string]string) iam.Access {
	a := iam.Access{
		Caller: c.session.Caller, Action: action, Resource: resource, ResourceAccount: c.account(),
		ResourceTags: c.bucket.Tags, Keys: c.keys(keys), Time: c.now,
	}
	if c.bucket.Policy != nil {
		a.ResourcePolicy = &iam.NamedPolicy{Name: c.bucket.PolicyName, Policy: c.bucket.Policy}
	}
	return a
}

// account is the one that what is asked for belongs to: the bucket's, or the
// caller's own where no bucket is named.
func (c *call) account() string {
	if c.bucket.AccountID != "" {
		return c.bucket.AccountID
	}
	return c.session.Caller.AccountID()
}

// keys are the condition keys of the request.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html#amazons3-policy-keys
func (c *call) keys(more map[string]string) iam.Context {
	ctx := iam.Context{}
	if c.s.cfg.Keys != nil {
		ctx = c.s.cfg.Keys(c.session.Caller, c.account()).Clone()
	}
	set := func(key, value string) {
		if value != "" {
			ctx.Set(key, value)
		}
	}
	set("aws:SourceIp", c.sourceIP)
	set("aws:UserAgent", c.request.UserAgent())
	set("aws:Referer", c.request.Referer())
	set("aws:RequestedRegion", c.sig.region)
	ctx.Set("aws:SecureTransport", "true")
	set("s3:ResourceAccount", c.account())
	for key, value := range c.bucket.Tags {
		ctx.Set("s3:BucketTag/"+key, value)
	}
	ctx.Set("s3:signatureversion", signAlgorithm)
	ctx.Set("s3:authType", "REST-HEADER")
	if c.sig.presigned {
		ctx.Set("s3:authType", "REST-QUERY-STRING")
		ctx.Set("s3:signatureAge", strconv.FormatInt(max(0, int64(c.now.Sub(c.sig.at)/time.Millisecond)), 10))
	}
	ctx.Set("s3:x-amz-content-sha256", c.sig.payload)
	for _, name := range []string{"x-amz-acl", "x-amz-server-side-encryption", "x-amz-storage-class"} {
		set("s3:"+name, c.header.Get(name))
	}
	for key, value := range more {
		ctx.Set(key, value)
	}
	return ctx
}

func (c *call) sameOrganization() bool {
	own := c.session.Caller.OrgID
	if own == "" || c.s.cfg.Keys == nil {
		return false
	}
	values, _ := c.s.cfg.Keys(c.session.Caller, c.account()).Get("aws:ResourceOrgID")
	return len(values) == 1 && values[0] == own
}

// callerARN is how AWS calls the caller: by the session's ARN.
func callerARN(caller iam.Caller) string {
	for _, arn := range caller.Principal().AWS {
		if strings.Contains(arn, ":assumed-role/") {
			return arn
		}
	}
	return caller.ARN
}

// because is the end of S3's sentence.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html
func because(result iam.AccessResult, action string) string {
	kind := map[iam.LayerKind]string{
		iam.LayerServiceControl: "service control policy", iam.LayerResourceControl: "resource control policy", iam.LayerResource: "resource-based policy",
		iam.LayerIdentity: "identity-based policy", iam.LayerBoundary: "permissions boundary", iam.LayerSession: "session policy",
	}[result.Denied]
	if result.Decision == iam.ExplicitDeny {
		article := "a "
		if strings.HasPrefix(kind, "i") {
			article = "an "
		}
		return "with an explicit deny in " + article + kind
	}
	return "because no " + kind + " allows the " + action + " action"
}

func (c *call) bucketARN() string { return "arn:aws:s3:::" + c.bucketName }

func (c *call) objectARN(key string) string { return c.bucketARN() + "/" + key }
