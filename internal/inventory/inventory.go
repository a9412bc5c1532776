// Package inventory holds what files say of a user's federation: roles with
// their policies, OIDC providers, Azure's federated credentials, workflows and
// the broker's own configurations, each as far as it is known and with its
// places in its file. It decides nothing.
package inventory

import (
	"time"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/source"
)

// Inventory is everything that was read. What could not be read stands in
// Problems; the rest is there nevertheless.
type Inventory struct {
	Files     []string // that were read, sorted
	Roles     []Role
	Policies  []StandalonePolicy
	Managed   []ManagedPolicy
	Providers []Provider
	Azure     []AzureApplication
	Workflows []Workflow
	Configs   []Configuration
	Unread    []UnreadModule
	Problems  []error // each a *source.Error, or says which path could not be read
}

// UnreadModule is a Terraform module that the files call and that is not among
// them. What it makes is not known.
type UnreadModule struct {
	Address  string
	Position source.Position
	Source   string // as it is written; empty where it is not known
	Local    bool   // it is a folder that could be named too
}

// Role is an IAM role, or a trust policy that stands alone.
type Role struct {
	// Address is the role's name in its file: a logical id, a Terraform
	// address, an ARN. Empty for a trust policy alone.
	Address  string
	Position source.Position

	ARN  source.Text // empty where the file has none
	Name source.Text // empty where the file has none
	Path source.Text // as /ci/; empty where the file has none, or an ARN says it
	ID   source.Text // the RoleId, AROA...; empty where the file has none
	// AccountID is the role's account, twelve digits; empty where not known.
	AccountID string

	// Trust is the trust policy; nil where there is none, or nothing of it is
	// known.
	Trust *Policy
	// Identity are the inline and attached identity policies whose documents
	// are known.
	Identity []AttachedPolicy
	// IdentityOpen says that the role may have further identity policies that
	// are not known. A bare trust policy always may.
	IdentityOpen bool
	Boundary     *AttachedPolicy

	Tags     []Tag
	TagsOpen bool // there may be further tags that are not known

	MaxSession time.Duration // 0 where not known
}

// Tag is a tag of a role.
type Tag struct {
	Key, Value source.Text
}

// AttachedPolicy is an identity policy of a role.
type AttachedPolicy struct {
	Name   string  // or the ARN of a managed policy
	Policy *Policy // nil where the document is not known, as of AWS's own policies
}

// StandalonePolicy is an identity policy that stands alone: which role it
// belongs to is not known. A resource's policy is here only where AWS would
// refuse it.
type StandalonePolicy struct {
	Address  string // as Role.Address; empty for a document alone
	Position source.Position
	Policy   *Policy
}

// ManagedPolicy is a managed policy whose ARN and document are known.
type ManagedPolicy struct {
	ARN    string
	Policy *Policy
}

// Provider is an OIDC provider in an AWS account.
type Provider struct {
	Address       string
	Position      source.Position
	ARN           source.Text // empty where the file has none
	URL           source.Text // with or without https://
	ClientIDs     []source.Text
	ClientIDsOpen bool // there may be further ones
	AccountID     string
}

// AzureApplication is an application or a managed identity with its federated
// credentials.
type AzureApplication struct {
	Address     string // what the file or the resource calls it
	Position    source.Position
	Credentials []AzureCredential
	Open        bool // there may be further credentials
}

// AzureCredential is a federated identity credential.
type AzureCredential struct {
	Position  source.Position
	Name      source.Text
	Issuer    source.Text
	Subject   source.Text // empty for a flexible credential
	Audiences []source.Text
	// Expression is the claims matching expression of a flexible credential;
	// empty for an exact one.
	Expression source.Text
}

// Workflow is a GitHub Actions workflow file.
type Workflow struct {
	Position source.Position
	Name     source.Text
	Triggers []Trigger // of on:
	Jobs     []Job
	// IDToken says whether the whole workflow has id-token: write.
	IDToken source.Truth
}

// Trigger is an event that starts a workflow.
type Trigger struct {
	Event    string
	Position source.Position
}

// Job is a job of a workflow.
type Job struct {
	ID       string
	Position source.Position
	// IDToken says whether the job may ask for a token, by its own
	// permissions or the workflow's.
	IDToken     source.Truth
	Permissions source.Position // of what gives it; zero where nothing does
	Environment source.Text     // empty where it has none
	// RolesToAssume are the role-to-assume inputs of its steps.
	RolesToAssume []source.Text
	Uses          source.Text // of a job that calls a reusable workflow
}

// Configuration is a stint.yaml that was read without a mistake.
type Configuration struct {
	File   string
	Config *config.Config
	Root   *source.Node // with the places of everything in it
}
