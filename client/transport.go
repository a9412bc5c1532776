package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

const (
	// requestTimeout bounds one attempt, the answer's body included. The broker
	// may itself be waiting for AWS STS.
	requestTimeout = 30 * time.Second
	// maxRetryAfter bounds how long a server can make a job wait.
	maxRetryAfter = 10 * time.Second
	// maxToken is how many bytes a job token or a stint token may have.
	maxToken = 16 << 10

	defaultAttempts = 4
	firstDelay      = 250 * time.Millisecond
	maxDelay        = 4 * time.Second
)

// Retry is how often what is transient is tried, and how the time between is
// spent. The zero value tries four times within about two seconds.
type Retry struct {
	Attempts int // in all; 0 means 4
	// Sleep waits d or until ctx ends, and returns the error of ctx then. Nil
	// waits between half of d and d, so that jobs that failed together do not
	// come back together.
	Sleep func(ctx context.Context, d time.Duration) error
}

// transient marks an error that may be gone at the next attempt.
type transient struct {
	err   error
	after time.Duration // what the server asks to wait
}

func (t *transient) Error() string { return t.err.Error() }
func (t *transient) Unwrap() error { return t.err }

// do calls f until it succeeds, fails for good, or has failed often enough.
func (r Retry) do(ctx context.Context, f func() error) error {
	attempts, sleep := r.Attempts, r.Sleep
	if attempts <= 0 {
		attempts = defaultAttempts
	}
	if sleep == nil {
		sleep = jittered
	}
	delay := firstDelay
	for attempt := 1; ; attempt++ {
		err := f()
		var t *transient
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.As(err, &t):
			return err
		case attempt >= attempts:
			return &UnavailableError{Attempts: attempt, Err: t.err}
		}
		if err := sleep(ctx, max(delay, min(t.after, maxRetryAfter))); err != nil {
			return err
		}
		delay = min(2*delay, maxDelay)
	}
}

func jittered(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d/2 + rand.N(d/2+1))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// guarded is a copy of c for requests that carry a token: it follows no
// redirect, keeps no cookies, and bounds every attempt in time and every
// answer to limit bytes, counted after decompression.
func guarded(c *http.Client, limit int64) *http.Client {
	g := http.Client{}
	if c != nil {
		g = *c
	}
	if g.Timeout == 0 {
		g.Timeout = requestTimeout
	}
	g.Jar = nil
	next := g.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	g.Transport = bounded{next, limit}
	return &g
}

// bounded is the transport of guarded.
type bounded struct {
	next  http.RoundTripper
	limit int64
}

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	// Refused here and not in CheckRedirect, whose error the AWS SDK loses.
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		_ = resp.Body.Close()
		refused := &RedirectError{Host: "an address that cannot be read"}
		if to, err := resp.Location(); err == nil {
			refused.Host = clean(to.Host)
		}
		return nil, refused
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, b.limit)
	return resp, nil
}

// send sends r and reads the whole answer. A failure of the connection is
// transient; a refused redirect, a certificate that does not hold and an
// answer that is too large are not.
func send(c *http.Client, r *http.Request) (*http.Response, []byte, error) {
	resp, err := c.Do(r)
	if err != nil {
		return nil, nil, classify(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, nil, classify(err)
	}
	return resp, body, nil
}

// classify marks what is transient of an error between request and answer.
func classify(err error) error {
	var redirect *RedirectError
	var large *http.MaxBytesError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &redirect):
		return redirect
	case errors.As(err, &large):
		return fmt.Errorf("the answer is larger than %d bytes", large.Limit)
	case errors.As(err, &certificate):
		return certificate
	}
	// url.Error repeats the method and the whole address, which says nothing new.
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	return &transient{err: err}
}

// temporaryStatus reports whether an HTTP status says to come back later.
func temporaryStatus(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// retryAfter reads the seconds of a Retry-After header (RFC 9110 section
// 10.2.3). A date is not read: it would need the server's clock.
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, int(maxRetryAfter/time.Second))) * time.Second
}

// address reads the URL in a setting that a token will be sent to.
func address(setting, raw string) (*url.URL, error) {
	bad := func(format string, args ...any) (*url.URL, error) {
		return nil, &SettingError{
			Setting: setting,
			Detail:  fmt.Sprintf(format, args...),
			Hint:    "expected an address such as https://stint.example.com, or http://127.0.0.1:8180 on this machine",
		}
	}
	if raw == "" {
		return bad("is not set")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		// The parser's error repeats its input, which may hold a password.
		return bad("is not a URL")
	case u.User != nil:
		return bad("must not hold a user name or password")
	case u.Host == "" || u.Hostname() == "":
		return bad("%q names no host", clean(u.Redacted()))
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback(u.Hostname()):
	case u.Scheme == "http":
		return bad("%s would carry the token in the clear", clean(u.Redacted()))
	default:
		return bad("%q is neither https nor http", clean(u.Scheme))
	}
	if u.Fragment != "" {
		return bad("must not have a fragment")
	}
	return u, nil
}

// loopback takes literal addresses only: a name such as localhost can be made
// to resolve elsewhere.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback()
}
