// Package client is a job's side of stint: it asks the CI system for the job's
// token, trades it at the broker, and hands out credentials that last as long
// as the job.
//
// Most programs need one line each for the job and for the AWS SDK:
//
//	job, err := client.FromEnv(os.Getenv)
//	cfg.Credentials = aws.NewCredentialsCache(client.NewAWSProvider(job, client.AWSRequest{}))
//
// The provider asks for a fresh job token whenever the cached credentials are
// about to end, so they never run out in the middle of a job.
//
// A [Chain] in the request goes on from there to further roles.
//
// # What it defends against
//
// A token is sent only over https, or over http to a loopback address; no
// redirect is followed with a token in hand; the audience of the job token is
// what the job's environment says, never what a server suggests, or a false
// broker could collect tokens that are meant for others. Answers are bounded
// in size and time. A [Secret] prints as REDACTED wherever it is formatted or
// logged.
//
// # Retries
//
// What is transient (a connection that fails, an answer of 5xx or 429) is tried
// again a few times; a denial never is.
package client
