package explain

// Kinds are all causes.
func Kinds() []Kind {
	return []Kind{
		EnvironmentSubject, BranchSubject, PullRequestSubject, LetterCase, LiteralWildcard, HostInSubject, NamesForm, IDsForm,
		RepositorySubject, IssuerPrefix, Audience, WrongProvider, MisspeltKey, UnknownKey, AbsentKey, MissingAction, MissingTagSession,
		MissingSourceIdentity, Tags, SessionTag, InheritedTag, ChangedSourceIdentity, CallerPolicy,
		WrongPrincipal, WrongResource, NoAllow, ExplicitDeny, SessionName, RoleNotNamed, RuleMismatch, RuleDenies, NotOurs, Session, Other,
	}
}
