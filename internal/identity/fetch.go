package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// NewHTTPClient is the client that issuers are asked with unless Config has
// another: TLS 1.2 or later, a limit on every phase, few connections, no
// cookies and no redirects. Like any client it takes a proxy from HTTPS_PROXY
// and NO_PROXY, and never one to loopback.
func NewHTTPClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    5 * time.Second,
			ResponseHeaderTimeout:  5 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			MaxConnsPerHost:        4,
			MaxIdleConns:           8,
			IdleConnTimeout:        30 * time.Second,
			ForceAttemptHTTP2:      true,
		},
	}
}

// fetcher gets documents of issuers.
type fetcher struct{ client *http.Client }

// newFetcher takes the transport of c only: a redirect would let whoever holds
// the address now choose the keys, and cookies have no business here.
func newFetcher(c *http.Client) fetcher {
	if c == nil {
		c = NewHTTPClient()
	}
	return fetcher{client: &http.Client{
		Transport:     c.Transport,
		Timeout:       c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// discover is the jwks_uri of an issuer (OpenID Connect Discovery 1.0
// sections 4.1 to 4.3).
func (f fetcher) discover(ctx context.Context, issuer string) (string, error) {
	if err := checkURL(issuer, true); err != nil {
		return "", fmt.Errorf("the issuer: %w", err)
	}
	data, err := f.get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return "", fmt.Errorf("getting the discovery document: %w", err)
	}
	doc, err := parseDocument(data)
	if err != nil {
		return "", fmt.Errorf("reading the discovery document: %w", err)
	}
	// Otherwise a host that serves many issuers could pass off one's keys as
	// another's.
	if doc["issuer"] != issuer {
		return "", fmt.Errorf("reading the discovery document: expected the issuer %q, found %s", issuer, found(doc["issuer"]))
	}
	jwks, _ := doc["jwks_uri"].(string)
	// A remote document must not lead to what listens on this machine.
	u, err := url.Parse(issuer)
	if err := errors.Join(err, checkURL(jwks, err == nil && u.Scheme == "http")); err != nil {
		return "", fmt.Errorf("reading the discovery document: jwks_uri: %w", err)
	}
	return jwks, nil
}

func (f fetcher) keySet(ctx context.Context, jwksURL string) ([]byte, error) {
	data, err := f.get(ctx, jwksURL)
	if err != nil {
		return nil, fmt.Errorf("getting the key set: %w", err)
	}
	return data, nil
}

func (f fetcher) get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "stint")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return nil, fmt.Errorf("GET %s: expected 200, found %d, a redirect, which is not followed: set jwks_url to where the keys are", address, resp.StatusCode)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: expected 200, found %d", address, resp.StatusCode)
	}
	if t, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); t == "text/html" {
		return nil, fmt.Errorf("GET %s: expected a JSON document, found an HTML page: is it a login page or a proxy's?", address)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, MaxDocumentSize+1))
	if err != nil {
		return nil, fmt.Errorf("GET %s: reading the answer: %w", address, err)
	}
	if len(data) > MaxDocumentSize {
		return nil, fmt.Errorf("GET %s: expected at most %d bytes, found more", address, MaxDocumentSize)
	}
	return data, nil
}
