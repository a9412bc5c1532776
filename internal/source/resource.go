package source

// Resource is something that a template or a plan makes.
type Resource struct {
	// Address is its name in the template: a logical id, or a Terraform
	// address such as aws_iam_role.deploy or module.ci.aws_iam_role.deploy[0].
	Address  string
	Type     string // such as AWS::IAM::Role or aws_iam_role
	Position Position
	// Values are its properties or arguments; an object.
	Values *Node
}
