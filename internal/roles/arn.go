package roles

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"regexp"
	"strings"
)

// roleARN is the form that the IAM API reference gives for Role.Arn, Path and
// RoleName.
var roleARN = regexp.MustCompile(`^arn:(aws(?:-[a-z]+)*):iam::([0-9]{12}):role(/(?:[\x21-\x7e]{1,510}/)?)([A-Za-z0-9_+=,.@-]{1,64})$`)

// ARN is a role's ARN taken apart.
type ARN struct {
	Partition string
	AccountID string
	Path      string // with a slash at both ends; / for none
	Name      string
}

// ParseARN reads the ARN of a role.
func ParseARN(arn string) (ARN, error) {
	m := roleARN.FindStringSubmatch(arn)
	if m == nil || strings.Contains(m[3], "//") {
		return ARN{}, fmt.Errorf("expected a role's ARN such as arn:aws:iam::111111111111:role/deploy, found %.120q", arn)
	}
	return ARN{Partition: m[1], AccountID: m[2], Path: m[3], Name: m[4]}, nil
}

func (a ARN) String() string {
	return "arn:" + a.Partition + ":iam::" + a.AccountID + ":role" + a.Path + a.Name
}

// AssumedRole is the ARN of a session of the role. It lacks the role's path.
func (a ARN) AssumedRole(session string) string {
	return "arn:" + a.Partition + ":sts::" + a.AccountID + ":assumed-role/" + a.Name + "/" + session
}

// derivedID is a RoleId for a role whose file has none: the same for the same
// ARN, so that what depends on it can be compared between two runs.
func derivedID(arn string) string {
	sum := sha256.Sum256([]byte(arn))
	return "AROA" + base32.StdEncoding.EncodeToString(sum[:])[:17]
}
