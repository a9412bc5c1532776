package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// commandLine is the AWS command line in a home of its own.
type commandLine struct {
	t    *testing.T
	w    *world
	path string
	home string
}

func newCommandLine(t *testing.T, w *world) *commandLine {
	path, err := exec.LookPath("aws")
	if err == nil {
		err = exec.Command(path, "--version").Run()
	}
	if err != nil {
		t.Skip("the AWS command line is not installed: ", err)
	}
	return &commandLine{t, w, path, t.TempDir()}
}

// run runs a command with the credentials of a session.
func (c *commandLine) run(id string, args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), c.path, append(args, "--cli-read-timeout", "20")...)
	cmd.Dir = c.home
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + c.home, "AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region, "AWS_DEFAULT_OUTPUT=json",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + filepath.Join(c.home, "none"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(c.home, "none"),
		"AWS_MAX_ATTEMPTS=1", "PYENV_ROOT=" + os.Getenv("PYENV_ROOT"), "PYENV_VERSION=" + os.Getenv("PYENV_VERSION"),
		"AWS_ENDPOINT_URL_S3=" + c.w.url, "AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_SESSION_TOKEN=" + token,
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// works runs a command that must succeed.
func (c *commandLine) works(id string, args ...string) string {
	c.t.Helper()
	out, err := c.run(id, args...)
	if err != nil {
		c.t.Fatalf("aws %s as %s: %v\n%s", strings.Join(args, " "), id, err, out)
	}
	return out
}

// fails runs a command that must fail with these words.
func (c *commandLine) fails(words, id string, args ...string) {
	c.t.Helper()
	out, err := c.run(id, args...)
	if err == nil || !strings.Contains(strings.Join(strings.Fields(out), " "), words) {
		c.t.Errorf("aws %s as %s: expected %q, got %v\n%s", strings.Join(args, " "), id, words, err, out)
	}
}

func (c *commandLine) file(name, content string) string {
	c.t.Helper()
	path := filepath.Join(c.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// TestCommandLineABAC runs the documented permission examples.
func TestCommandLineABAC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.realTime()
	c := newCommandLine(t, w)
	file := c.file("app.tar", "the application")

	// A prefix per repository and commit.
	mine := "s3://artifacts/octo-org/octo-repo/0a1b2c/app.tar"
	c.works("COMMIT", "s3", "cp", file, mine)
	if out := c.works("COMMIT", "s3", "cp", mine, "-"); out != "the application" {
		t.Errorf("read back %q", out)
	}
	if out := c.works("COMMIT", "s3", "ls", "s3://artifacts/octo-org/octo-repo/0a1b2c/"); !strings.HasSuffix(out, " 15 app.tar\n") {
		t.Errorf("listed %q", out)
	}
	denied := func(who, action, resource string) string {
		return "User: arn:aws:sts::111111111111:assumed-role/" + who + "/job is not authorized to perform: " + action + ` on resource: "` + resource + `" because no identity-based policy allows the ` + action + " action"
	}
	c.fails(denied("ci", "s3:PutObject", "arn:aws:s3:::artifacts/octo-org/octo-repo/0a1b2c/app.tar"), "OTHER", "s3", "cp", file, mine)
	c.fails(denied("ci", "s3:PutObject", "arn:aws:s3:::artifacts/octo-org/octo-repo/ffffff/app.tar"), "COMMIT", "s3", "cp", file, "s3://artifacts/octo-org/octo-repo/ffffff/app.tar")
	c.fails(denied("ci", "s3:PutObject", "arn:aws:s3:::artifacts/octo-org/octo-repo/0a1b2c/app.tar"), "UNTAGGED", "s3", "cp", file, mine)
	c.fails(denied("ci", "s3:GetObject", "arn:aws:s3:::artifacts/octo-org/octo-repo/0a1b2c/app.tar"), "OTHER", "s3api", "get-object", "--bucket", "artifacts", "--key", "octo-org/octo-repo/0a1b2c/app.tar", "out")
	c.fails("An error occurred (403) when calling the HeadObject operation: Forbidden", "OTHER", "s3", "cp", mine, "-")
	c.fails(denied("ci", "s3:ListBucket", "arn:aws:s3:::artifacts"), "OTHER", "s3", "ls", "s3://artifacts/octo-org/octo-repo/")
	c.fails(denied("ci", "s3:ListBucket", "arn:aws:s3:::artifacts"), "COMMIT", "s3", "ls", "s3://artifacts")
	c.fails(denied("ci", "s3:PutObject", "arn:aws:s3:::artifacts/octo-org/octo-repo/0a1b2c/../ffffff/app.tar"), "OTHER",
		"s3api", "put-object", "--bucket", "artifacts", "--key", "octo-org/octo-repo/0a1b2c/../ffffff/app.tar", "--body", file)

	// A reusable workflow's prefix.
	c.works("WORKFLOW", "s3", "cp", file, "s3://artifacts/workflows/"+workflow+"/app.tar")
	c.fails(denied("build", "s3:PutObject", "arn:aws:s3:::artifacts/workflows/octo-org/evil/x.yml@refs/heads/main/app.tar"), "WORKFLOW", "s3", "cp", file, "s3://artifacts/workflows/octo-org/evil/x.yml@refs/heads/main/app.tar")

	// Everybody else's puts are denied, also those of who may do everything.
	c.works("RELEASER", "s3", "cp", file, "s3://releases/v1/app.tar")
	c.fails(`is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::releases/v1/app.tar" with an explicit deny in a resource-based policy`, "ALL", "s3", "cp", file, "s3://releases/v1/app.tar")
	if out := c.works("ALL", "s3", "cp", "s3://releases/v1/app.tar", "-"); out != "the application" {
		t.Errorf("read back %q", out)
	}
	c.works("COMMIT", "s3", "rm", mine)
	c.fails("(404)", "ALL", "s3", "cp", mine, "-")
}

// TestCommandLine uses the commands that people use, beside their permissions.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.realTime()
	c := newCommandLine(t, w)
	for name, content := range map[string]string{"site/index.html": "<p>", "site/a b/ünï+%.txt": "odd", "site/a b/empty": "", "site/z.css": "p{}"} {
		c.file(name, content)
	}
	c.works("ALL", "s3", "sync", "site", "s3://artifacts/site")
	if out := c.works("ALL", "s3", "ls", "--recursive", "s3://artifacts/site/"); strings.Count(out, "\n") != 4 || !strings.Contains(out, " 3 site/a b/ünï+%.txt\n") {
		t.Errorf("listed %s", out)
	}
	if out := c.works("ALL", "s3", "sync", "site", "s3://artifacts/site"); strings.Contains(out, "upload") {
		t.Errorf("a second sync sends %s", out)
	}
	c.works("ALL", "s3", "sync", "s3://artifacts/site", "copy")
	if out, err := os.ReadFile(filepath.Join(c.home, "copy/a b/ünï+%.txt")); err != nil || string(out) != "odd" {
		t.Errorf("%v %q", err, out)
	}
	if out := c.works("ALL", "s3", "ls", "s3://artifacts/site/"); !strings.Contains(out, "PRE a b/\n") || !strings.Contains(out, " index.html\n") {
		t.Errorf("listed %s", out)
	}
	if out := c.works("ALL", "s3api", "head-object", "--bucket", "artifacts", "--key", "site/index.html", "--checksum-mode", "ENABLED"); !strings.Contains(out, `"ContentType": "text/html"`) || !strings.Contains(out, `"Checksum`) {
		t.Errorf("head-object says %s", out)
	}
	if out := c.works("ALL", "s3api", "list-objects-v2", "--bucket", "artifacts", "--max-items", "3", "--page-size", "1", "--query", "Contents[].Key"); !strings.Contains(out, `"site/a b/empty"`) || strings.Contains(out, "z.css") {
		t.Errorf("list-objects-v2 says %s", out)
	}
	if out := c.works("ALL", "s3api", "get-object", "--bucket", "artifacts", "--key", "site/z.css", "--range", "bytes=1-2", "part"); !strings.Contains(out, `"ContentRange": "bytes 1-2/3"`) {
		t.Errorf("get-object says %s", out)
	}
	if out := c.works("ALL", "s3", "ls"); !strings.Contains(out, " artifacts\n") || !strings.Contains(out, " releases\n") || strings.Contains(out, "elsewhere") {
		t.Errorf("buckets are %s", out)
	}
	c.works("ALL", "s3api", "head-bucket", "--bucket", "artifacts")
	c.works("ALL", "s3", "mv", c.file("moved", "moved"), "s3://artifacts/moved")
	url := strings.TrimSpace(c.works("ALL", "s3", "presign", "s3://artifacts/moved"))
	if out, status := get(t, url); status != 200 || out != "moved" {
		t.Errorf("presigned: %d %s", status, out)
	}
	if out, status := get(t, strings.Replace(url, "/moved", "/site/z.css", 1)); status != 403 || !strings.Contains(out, "SignatureDoesNotMatch") {
		t.Errorf("presigned for another object: %d %s", status, out)
	}
	if out := c.works("ALL", "s3api", "delete-objects", "--bucket", "artifacts", "--delete", `{"Objects":[{"Key":"moved"},{"Key":"never"}]}`); strings.Count(out, `"Key"`) != 2 {
		t.Errorf("delete-objects says %s", out)
	}
	c.works("ALL", "s3", "rm", "--recursive", "s3://artifacts/site/")
	if out := c.works("ALL", "s3api", "list-objects-v2", "--bucket", "artifacts"); strings.Contains(out, "Key\"") {
		t.Errorf("left over: %s", out)
	}

	large := make([]byte, 9<<20)
	if _, err := rand.Read(large); err != nil {
		t.Fatal(err)
	}
	path := c.file("large", string(large))
	c.fails("(NotImplemented)", "ALL", "s3", "cp", path, "s3://artifacts/large")
	c.works("ALL", "s3api", "put-object", "--bucket", "artifacts", "--key", "large", "--body", path)
	c.works("ALL", "s3", "cp", "s3://artifacts/large", "back")
	if back, err := os.ReadFile(filepath.Join(c.home, "back")); err != nil || !bytes.Equal(back, large) {
		t.Errorf("reading 9 MiB back: %v, %d bytes", err, len(back))
	}
	// The command line signs again for the region that it is told.
	c.fails("(AccessDenied) when calling the ListObjectsV2 operation: Access Denied", "ALL", "s3", "ls", "s3://elsewhere")
	c.fails("(NoSuchBucket)", "ALL", "s3", "ls", "s3://nowhere")
	c.fails("(InvalidAccessKeyId)", "NOBODY", "s3", "ls", "s3://artifacts")
	if text := w.logged(); strings.Contains(text, secret) || strings.Contains(text, token) {
		t.Error("a secret is in the log")
	}
}
