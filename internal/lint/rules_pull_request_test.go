package lint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

func identityPolicy(t *testing.T, document string) inventory.AttachedPolicy {
	t.Helper()
	nodes, err := source.ParseJSON("policy.json", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return inventory.AttachedPolicy{Name: "inline", Policy: inventory.ParsePolicy(nodes[0])}
}

func allowActions(actions ...string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[%s],"Resource":"*"}]}`, quotedList(actions))
}

// denyBut denies every action but these.
func denyBut(actions ...string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","NotAction":[%s],"Resource":"*"}]}`, quotedList(actions))
}

func TestCanWrite(t *testing.T) {
	aws := func(name string) inventory.AttachedPolicy {
		return inventory.AttachedPolicy{Name: "arn:aws:iam::aws:policy/" + name}
	}
	doc := func(s string) inventory.AttachedPolicy { return identityPolicy(t, s) }
	boundary := func(a inventory.AttachedPolicy) *inventory.AttachedPolicy { return &a }
	read := doc(allowActions("s3:GetObject", "s3:List*", "ec2:Describe*", "s3:getobject", "kms:Decrypt", "dynamodb:BatchGetItem", "logs:FilterLogEvents"))
	write := doc(allowActions("s3:GetObject", "s3:PutObject"))
	for _, c := range []struct {
		name string
		role inventory.Role
		want source.Truth
	}{
		{"nothing", inventory.Role{}, source.No},
		{"nothing that is known", inventory.Role{IdentityOpen: true}, source.Unknown},
		{"reading", inventory.Role{Identity: []inventory.AttachedPolicy{read}}, source.No},
		{"reading, and what is not known", inventory.Role{Identity: []inventory.AttachedPolicy{read}, IdentityOpen: true}, source.Unknown},
		{"writing", inventory.Role{Identity: []inventory.AttachedPolicy{read, write}, IdentityOpen: true}, source.Yes},
		{"everything", inventory.Role{Identity: []inventory.AttachedPolicy{doc(allowActions("*"))}}, source.Yes},
		{"a service", inventory.Role{Identity: []inventory.AttachedPolicy{doc(allowActions("s3:*"))}}, source.Yes},
		{"any verb", inventory.Role{Identity: []inventory.AttachedPolicy{doc(allowActions("s3:*Object"))}}, source.Yes},
		{"a verb's beginning only", inventory.Role{Identity: []inventory.AttachedPolicy{doc(allowActions("x:Getaway"))}}, source.Yes},
		{"another role", inventory.Role{Identity: []inventory.AttachedPolicy{doc(allowActions("sts:AssumeRole"))}}, source.Yes},
		{"everything but", inventory.Role{Identity: []inventory.AttachedPolicy{doc(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}}`)}}, source.Yes},
		{"AWS's own for reading", inventory.Role{Identity: []inventory.AttachedPolicy{aws("ReadOnlyAccess"), aws("job-function/ViewOnlyAccess"), aws("AmazonS3ReadOnlyAccess")}}, source.No},
		{"AWS's own for all", inventory.Role{Identity: []inventory.AttachedPolicy{aws("AdministratorAccess")}}, source.Yes},
		{"AWS's own, whatever it allows", inventory.Role{Identity: []inventory.AttachedPolicy{aws("service-role/AWSLambdaRole")}}, source.Unknown},
		{"a customer's of that name", inventory.Role{Identity: []inventory.AttachedPolicy{{Name: "arn:aws:iam::111111111111:policy/ReadOnlyAccess"}}}, source.Unknown},
		{"within a boundary of reading", inventory.Role{Identity: []inventory.AttachedPolicy{write}, Boundary: boundary(read)}, source.No},
		{"within a boundary of writing", inventory.Role{Identity: []inventory.AttachedPolicy{write}, Boundary: boundary(doc(allowActions("s3:*")))}, source.Yes},
		{"within a boundary that is not known", inventory.Role{Identity: []inventory.AttachedPolicy{write}, Boundary: boundary(inventory.AttachedPolicy{Name: "b"})}, source.Unknown},
		{"denied again", inventory.Role{Identity: []inventory.AttachedPolicy{doc(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"},{"Effect":"Deny","Action":"s3:Put*","Resource":"*"}]}`)}}, source.No},
		{"denied in another case of letters", inventory.Role{Identity: []inventory.AttachedPolicy{doc(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"},{"Effect":"Deny","Action":"s3:putobject","Resource":"*"}]}`)}}, source.No},
		{"denied in part", inventory.Role{Identity: []inventory.AttachedPolicy{doc(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Put*","Resource":"*"},{"Effect":"Deny","Action":"s3:PutObject","Resource":"*"}]}`)}}, source.Yes},
		{"denied but reading", inventory.Role{Identity: []inventory.AttachedPolicy{write, doc(denyBut("s3:Get*", "ec2:Describe*"))}}, source.No},
		{"denied but reading, of everything", inventory.Role{Identity: []inventory.AttachedPolicy{doc(allowActions("*")), doc(denyBut("s3:Get*"))}}, source.No},
		{"denied but reading, of everything but", inventory.Role{Identity: []inventory.AttachedPolicy{doc(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}}`), doc(denyBut("s3:Get*"))}}, source.No},
		{"denied but reading, of AWS's own", inventory.Role{Identity: []inventory.AttachedPolicy{aws("AdministratorAccess"), doc(denyBut("s3:Get*"))}}, source.No},
		{"denied but this", inventory.Role{Identity: []inventory.AttachedPolicy{write, doc(denyBut("s3:Get*", "s3:putobject"))}}, source.Yes},
		{"denied but a service", inventory.Role{Identity: []inventory.AttachedPolicy{doc(allowActions("*")), doc(denyBut("s3:*"))}}, source.Yes},
		{"denied but another service", inventory.Role{Identity: []inventory.AttachedPolicy{write, doc(denyBut("ec2:*"))}}, source.No},
		{"denied but what is denied beside it", inventory.Role{Identity: []inventory.AttachedPolicy{write, doc(denyBut("s3:*")), doc(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:P*","Resource":"*"}}`)}}, source.No},
		{"denied but one of many", inventory.Role{Identity: []inventory.AttachedPolicy{doc(allowActions("s3:*Object")), doc(denyBut("s3:Put*"))}}, source.Unknown},
		{"denied elsewhere", inventory.Role{Identity: []inventory.AttachedPolicy{write, doc(strings.Replace(denyBut("s3:Get*"), `"Resource":"*"`, `"Resource":"arn:aws:s3:::b/*"`, 1))}}, source.Yes},
		{"denied under a condition", inventory.Role{Identity: []inventory.AttachedPolicy{doc(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`)}}, source.Yes},
	} {
		if got := canWrite(&c.role); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestPullRequestCanWrite(t *testing.T) {
	const pull = "repo:octo-org@65/octo-repo@74:pull_request"
	for _, c := range []struct {
		document       string
		identity       string
		found, unknown int
	}{
		{sub(pull), allowActions("s3:PutObject"), 1, 0},
		{sub("repo:octo-org@65/octo-repo@74:environment:prod", pull), allowActions("s3:PutObject"), 1, 0},
		{sub("repo:octo-org@65/octo-repo@74:pull*"), allowActions("s3:PutObject"), 1, 0},
		{sub(pull), allowActions("s3:GetObject"), 0, 0},
		{sub(pull), "", 0, 1},
		{sub("repo:octo-org@65/octo-repo@74:environment:prod"), allowActions("*"), 0, 0},
		{sub("repo:octo-org@65/octo-repo@74:*"), allowActions("*"), 0, 0}, // any-ref says it
		{trustOf(`{"StringEquals":{"gh:sub":"` + pull + `","gh:job_workflow_ref":"octo-org/auto/.github/workflows/plan.yml@refs/heads/main"}}`), allowActions("*"), 0, 0},
		{statements(allowFor(github, `{"StringEquals":{"gh:sub":"`+pull+`"}}`), denyFor(`{"StringLike":{"gh:sub":"*:pull_request"}}`)), allowActions("*"), 0, 0},
	} {
		inv := inventoryOf(t, c.document)
		if c.identity != "" {
			inv.Roles[0].IdentityOpen = false
			inv.Roles[0].Identity = []inventory.AttachedPolicy{identityPolicy(t, c.identity)}
		}
		found, unknown := by(Run(inv, Options{}), "pull-request-can-write")
		if len(found) != c.found || len(unknown) != c.unknown {
			t.Errorf("%s with %s: found %v, unknown %v", c.document, c.identity, found, unknown)
		}
	}
}

func TestPrivilegedWorkflow(t *testing.T) {
	workflow := func(event string, job inventory.Job) inventory.Workflow {
		at := source.Position{File: ".github/workflows/pr.yml", Line: 3, Column: 1}
		job.ID, job.Position = "check", at
		return inventory.Workflow{Position: at, Triggers: []inventory.Trigger{{Event: "push"}, {Event: event}}, Jobs: []inventory.Job{job}}
	}
	yes := inventory.Job{IDToken: source.Yes}
	const main, prod = "repo:octo-org@65/octo-repo@74:ref:refs/heads/main", "repo:octo-org@65/octo-repo@74:environment:prod"
	for _, c := range []struct {
		name           string
		workflow       inventory.Workflow
		documents      []string
		found, unknown int
	}{
		{"the default branch", workflow("pull_request_target", yes), []string{sub(main)}, 1, 0},
		{"a wildcard", workflow("issue_comment", yes), []string{sub("repo:octo-org@65/octo-repo@74:*")}, 1, 0},
		{"after another workflow", workflow("workflow_run", yes), []string{sub(prod, main)}, 1, 0},
		{"an environment", workflow("pull_request_target", yes), []string{sub(prod)}, 0, 0},
		{"its own environment", workflow("pull_request_target", inventory.Job{IDToken: source.Yes, Environment: source.Literal("prod")}), []string{sub(prod)}, 1, 0},
		{"another environment", workflow("pull_request_target", inventory.Job{IDToken: source.Yes, Environment: source.Literal("test")}), []string{sub(main, prod)}, 0, 0},
		{"a harmless event", workflow("schedule", yes), []string{sub(main)}, 0, 0},
		{"a pull request of its own", workflow("pull_request", yes), []string{sub(main)}, 0, 0},
		{"without id-token", workflow("pull_request_target", inventory.Job{IDToken: source.No}), []string{sub(main)}, 0, 0},
		{"perhaps with id-token", workflow("pull_request_target", inventory.Job{}), []string{sub(main)}, 0, 1},
		{"another branch, perhaps the default one", workflow("pull_request_target", yes), []string{sub("repo:octo-org@65/octo-repo@74:ref:refs/heads/dev")}, 0, 1},
		{"a tag", workflow("pull_request_target", yes), []string{sub("repo:octo-org@65/octo-repo@74:ref:refs/tags/v*")}, 0, 0},
		{"one of several repositories", workflow("pull_request_target", yes), []string{sub(main), sub("repo:octo-org@65/other@75:ref:refs/heads/main")}, 0, 2},
		{"an environment that is asked for too", workflow("pull_request_target", yes), []string{trustOf(`{"StringEquals":{"gh:sub":"` + main + `","gh:environment":"prod"}}`)}, 0, 0},
		{"another reusable workflow", workflow("pull_request_target", yes), []string{trustOf(`{"StringEquals":{"gh:sub":"` + main + `","gh:job_workflow_ref":"octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main"}}`)}, 0, 0},
	} {
		inv := inventoryOf(t, c.documents...)
		inv.Workflows = []inventory.Workflow{c.workflow}
		found, unknown := by(Run(inv, Options{}), "privileged-workflow")
		if len(found) != c.found || len(unknown) != c.unknown {
			t.Errorf("%s: found %v, unknown %v", c.name, found, unknown)
		}
	}

	// Every such job is named, in one finding.
	several := inventoryOf(t, sub(main))
	several.Workflows = []inventory.Workflow{workflow("pull_request_target", yes), workflow("schedule", yes)}
	for range 7 {
		several.Workflows = append(several.Workflows, workflow("issue_comment", yes))
	}
	if found, _ := by(Run(several, Options{}), "privileged-workflow"); len(found) != 1 || strings.Count(found[0].Message, "job check of") != 6 || !strings.HasSuffix(found[0].Message, " and 2 more") {
		t.Errorf("several jobs: found %v", found)
	}

	// A role that the workflow names is its repository's, whatever others trust.
	inv := inventoryOf(t, sub(main), sub("repo:octo-org@65/other@75:ref:refs/heads/main"))
	inv.Roles[0].Name = source.Literal("deploy")
	inv.Workflows = []inventory.Workflow{workflow("pull_request_target", inventory.Job{
		IDToken: source.Yes, RolesToAssume: []source.Text{source.Literal("arn:aws:iam::111111111111:role/ci/deploy")},
	})}
	if found, unknown := by(Run(inv, Options{}), "privileged-workflow"); len(found) != 1 || found[0].Subject != "role0" || len(unknown) != 1 {
		t.Errorf("found %v, unknown %v", found, unknown)
	}
}
