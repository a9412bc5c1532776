package iam

import (
	"slices"
	"strings"
)

// Principal is who makes a request. Of the kinds only one is set; the zero
// value is an anonymous caller.
type Principal struct {
	// AWS holds every name by which a policy may mean the caller: for a role
	// session the ARNs of the session, the role and its account's root.
	// RoleSession and User make it.
	AWS []string
	// Federated is the ARN of the identity provider of a web identity or
	// SAML caller, or the host of one of the built-in providers.
	Federated     string
	Service       string // such as ec2.amazonaws.com
	CanonicalUser string
}

// RoleSession is the caller that a session of a role is. roleARN has the
// role's path, which the ARN of a session lacks; roleID is the AROA... id, or
// empty.
func RoleSession(roleARN, sessionName, roleID string) Principal {
	p := Principal{AWS: []string{roleARN}}
	if partition, account, resource, ok := splitIAM(roleARN); ok {
		role := resource[strings.LastIndexByte(resource, '/')+1:]
		p.AWS = append(p.AWS,
			"arn:"+partition+":sts::"+account+":assumed-role/"+role+"/"+sessionName,
			"arn:"+partition+":iam::"+account+":root")
	}
	if roleID != "" {
		p.AWS = append(p.AWS, roleID)
	}
	return p
}

// User is the caller that an IAM user is; userID is the AIDA... id, or empty.
func User(userARN, userID string) Principal {
	p := Principal{AWS: []string{userARN}}
	if partition, account, _, ok := splitIAM(userARN); ok {
		p.AWS = append(p.AWS, "arn:"+partition+":iam::"+account+":root")
	}
	if userID != "" {
		p.AWS = append(p.AWS, userID)
	}
	return p
}

// splitIAM splits arn:PARTITION:iam::ACCOUNT:RESOURCE.
func splitIAM(arn string) (partition, account, resource string, ok bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || parts[3] != "" || !isAccount(parts[4]) {
		return "", "", "", false
	}
	return parts[1], parts[4], parts[5], true
}

func isAccount(s string) bool { return len(s) == 12 && allDigits(s) }

// principals is a compiled Principals.
type principals struct {
	any, anyAWS, anyFederated, anyService, anyCanonical bool

	aws, federated, service, canonical []string
}

func compilePrincipals(p *Principals) *principals {
	c := &principals{
		any:       p.Any,
		aws:       p.AWS.Strings(),
		federated: p.Federated.Strings(),
		service:   p.Service.Strings(),
		canonical: p.CanonicalUser.Strings(),
	}
	c.anyAWS = slices.Contains(c.aws, "*")
	c.anyFederated = slices.Contains(c.federated, "*")
	c.anyService = slices.Contains(c.service, "*")
	c.anyCanonical = slices.Contains(c.canonical, "*")
	return c
}

const (
	noteNoPrincipal      = "the statement names no Principal, which a resource-based policy must; read so that it denies"
	noteNotPrincipal     = "AWS does not support NotPrincipal with Allow; read so that it denies"
	noteNotPrincipalFed  = "AWS does not say whom NotPrincipal excepts among federated callers; read so that it denies"
	noteNotPrincipalAWS  = "NotPrincipal excepts the caller only where it lists every ARN of the caller, its account's included"
	noteAWSStarFederated = "{\"AWS\": \"*\"} does not match a federated caller"
	noteStar             = "\"*\" for this kind of principal is not defined by AWS; read so that it denies"
)

func (s *statement) matchPrincipal(r *Request) (bool, string) {
	switch {
	case s.principals == nil && r.IdentityPolicy:
		return true, ""
	case s.principals == nil:
		return s.effect == EffectDeny, noteNoPrincipal
	case !s.notPrincipal:
		return s.principals.match(&r.Principal, s.effect)
	case s.effect == EffectAllow:
		return false, noteNotPrincipal
	}
	excepted, note := s.principals.excepts(&r.Principal)
	return !excepted, note
}

func (p *principals) match(caller *Principal, effect Effect) (bool, string) {
	if p.any {
		return true, ""
	}
	deny := effect == EffectDeny
	switch {
	case caller.Federated != "":
		// Anybody with an account at the provider would be let in by a
		// wildcard, so names compare exactly.
		if slices.Contains(p.federated, caller.Federated) {
			return true, ""
		}
		if p.anyFederated {
			return deny, noteStar
		}
		if p.anyAWS {
			return false, noteAWSStarFederated
		}
		return false, ""
	case caller.Service != "":
		if slices.Contains(p.service, caller.Service) {
			return true, ""
		}
		if p.anyService || p.anyAWS {
			return deny, noteStar
		}
		return false, ""
	case len(caller.AWS) > 0:
		if p.anyAWS {
			return true, ""
		}
		for _, name := range p.aws {
			for _, is := range caller.AWS {
				if sameAWS(name, is) {
					return true, ""
				}
			}
		}
	case caller.CanonicalUser == "" && p.anyAWS:
		return deny, noteStar // an anonymous caller
	}
	if caller.CanonicalUser != "" {
		if slices.Contains(p.canonical, caller.CanonicalUser) {
			return true, ""
		}
		if p.anyCanonical || p.anyAWS {
			return deny, noteStar
		}
	}
	return false, ""
}

// byAccount reports whether a caller that matches does so as a principal of
// its account only.
func (p *principals) byAccount(caller *Principal) bool {
	if p.any || p.anyAWS || len(caller.AWS) == 0 || caller.Federated != "" || caller.Service != "" {
		return false
	}
	found := false
	for _, name := range p.aws {
		for _, is := range caller.AWS {
			if !sameAWS(name, is) {
				continue
			}
			_, account, resource, _ := splitIAM(is)
			if !isAccount(is) && (account == "" || resource != "root") {
				return false
			}
			found = true
		}
	}
	return found
}

// excepts reports whether NotPrincipal in a Deny spares the caller.
func (p *principals) excepts(caller *Principal) (bool, string) {
	switch {
	case p.any:
		return true, ""
	case caller.Federated != "":
		return false, noteNotPrincipalFed
	case caller.Service != "":
		return slices.Contains(p.service, caller.Service), ""
	case len(caller.AWS) > 0:
		if p.anyAWS {
			return true, ""
		}
		role, session := false, false
		for _, is := range caller.AWS {
			role, session = role || strings.Contains(is, ":role/"), session || isSessionARN(is)
			listed := !strings.HasPrefix(is, "arn:") // ids need not be listed
			for _, name := range p.aws {
				// Listing a role lists none of its sessions here.
				listed = listed || sameAWS(name, is) && (name == is || !isSessionARN(is))
			}
			if !listed {
				return false, noteNotPrincipalAWS
			}
		}
		if role && !session {
			return false, noteNotPrincipalAWS // a session whose name is not known
		}
		return slices.ContainsFunc(caller.AWS, func(is string) bool { return strings.HasPrefix(is, "arn:") }), ""
	}
	return caller.CanonicalUser != "" && slices.Contains(p.canonical, caller.CanonicalUser), ""
}

// sameAWS reports whether a name in a policy means the caller of this name.
// Names compare exactly, but for two forms: an account is its number or the
// ARN of its root, and a role is every session of it.
func sameAWS(name, is string) bool {
	if name == is {
		return name != ""
	}
	if isAccount(name) {
		return rootOf(is, name)
	}
	if isAccount(is) {
		return rootOf(name, is)
	}
	return sessionOf(is, name)
}

// rootOf reports whether arn is arn:PARTITION:iam::account:root.
func rootOf(arn, account string) bool {
	rest, ok := strings.CutPrefix(arn, "arn:")
	if !ok {
		return false
	}
	_, rest, ok = strings.Cut(rest, ":")
	if !ok {
		return false
	}
	rest, ok = strings.CutPrefix(rest, "iam::")
	return ok && len(rest) == len(account)+len(":root") && strings.HasPrefix(rest, account) && strings.HasSuffix(rest, ":root")
}

// sessionOf reports whether session is the ARN of a session of the role. The
// ARN of a session lacks the role's path: a role with a path matches only
// where the caller lists the role itself, since there may be none of that
// path any more.
func sessionOf(session, role string) bool {
	if !strings.Contains(session, ":assumed-role/") {
		return false
	}
	partition, account, resource, ok := splitIAM(role)
	if !ok {
		return false
	}
	name, ok := strings.CutPrefix(resource, "role/")
	if !ok || name == "" || strings.Contains(name, "/") {
		return false
	}
	tail, ok := strings.CutPrefix(session, "arn:"+partition+":sts::"+account+":assumed-role/"+name+"/")
	return ok && tail != "" && !strings.Contains(tail, "/")
}
