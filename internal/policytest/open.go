package policytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/rules"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/strictjson"
)

// maxCapture bounds a file of claims or with a token.
const maxCapture = 1 << 20

// Open reads what a file of tests names, from its folder. All mistakes are
// found at once.
func Open(file *File, folder string) (*Suite, error) {
	s := &Suite{File: file, Claims: map[string]map[string]any{}, Policies: map[string]Policy{}}
	s.Side.Name = file.Name
	var errs []error
	fail := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	at := func(path string) string {
		if filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(folder, path)
	}
	if file.Config != "" {
		fail(s.Side.configure(at(file.Config)))
	}
	if len(file.Roles) > 0 {
		paths := make([]string, len(file.Roles))
		for i, p := range file.Roles {
			paths[i] = at(p)
		}
		inv := inventory.Load(paths...)
		errs = append(errs, inv.Problems...)
		s.Side.Roles, s.Side.Providers = inv.Roles, inv.Providers
		if len(inv.Roles) == 0 && len(inv.Problems) == 0 {
			fail(fmt.Errorf("%s: roles: expected roles, found none in %s", file.Name, strings.Join(file.Roles, ", ")))
		}
	}
	loaded := map[string]*inventory.Inventory{}
	for _, t := range file.Tests {
		if _, done := s.Policies[t.Policy]; done || t.Policy == "" {
			continue
		}
		role, err := policy(t, at, loaded)
		fail(err)
		s.Policies[t.Policy] = role
	}
	for _, j := range file.Jobs {
		claims, err := j.claims(at)
		if err != nil {
			fail(&source.Error{Position: j.Position, Message: fmt.Sprintf("job %s: %s", j.Name, err), Err: err})
		}
		s.Claims[j.Name] = claims
	}
	return s, errors.Join(errs...)
}

// configure reads the broker's configuration.
func (s *Side) configure(path string) error {
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	set, err := rules.Compile(cfg)
	if err != nil {
		return err
	}
	s.Config, s.Rules = cfg, set
	return nil
}

// policy is the one role or trust policy that a test names.
func policy(t Test, at func(string) string, loaded map[string]*inventory.Inventory) (Policy, error) {
	path, address, _ := strings.Cut(t.Policy, "#")
	inv, done := loaded[path]
	if !done {
		inv = inventory.Load(at(path))
		loaded[path] = inv
	}
	fail := func(format string, args ...any) (Policy, error) {
		return Policy{}, &source.Error{Position: t.Position, Message: fmt.Sprintf("policy %.200q: ", t.Policy) + fmt.Sprintf(format, args...)}
	}
	if len(inv.Problems) > 0 {
		return Policy{}, errors.Join(inv.Problems...)
	}
	var names []string
	var found []inventory.Role
	for _, r := range inv.Roles {
		name := r.Address
		if name == "" {
			name = r.Name.String()
		}
		names = append(names, name)
		if address == "" || address == name || r.Name.Equals(address) == source.Yes || r.ARN.Equals(address) == source.Yes {
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 1:
		return Policy{found[0], inv.Providers}, nil
	case len(inv.Roles) == 0:
		return fail("expected a role or a trust policy, found none")
	case len(found) == 0:
		return fail("there is no such role; there are: %s", strings.Join(names, ", "))
	}
	return fail("expected one role, found %d: name it as %s#ROLE, one of %s", len(found), path, strings.Join(names, ", "))
}

func (j Job) claims(at func(string) string) (map[string]any, error) {
	var claims map[string]any
	switch {
	case j.Like != "":
		return preset(j.Like, j.With)
	case j.Claims != nil:
		claims = maps.Clone(j.Claims)
	case j.ClaimsFile != "":
		data, err := config.ReadFile(at(j.ClaimsFile), maxCapture)
		if err != nil {
			return nil, err
		}
		if claims, err = strictjson.Object(data); err != nil {
			return nil, fmt.Errorf("reading %s: expected a token's payload: %w", j.ClaimsFile, err)
		}
		if _, wrapped := claims["claims"].(map[string]any); wrapped && claims["iss"] == nil {
			return nil, fmt.Errorf("reading %s: expected a token's payload, found an object that holds one in claims: take that out, as with jq .claims", j.ClaimsFile)
		}
	case j.TokenFile != "":
		data, err := config.ReadFile(at(j.TokenFile), maxCapture)
		if err != nil {
			return nil, err
		}
		// No key set: nothing is fetched, and nothing is believed.
		seen, err := identity.Inspect(context.Background(), strings.TrimSpace(string(data)),
			identity.InspectConfig{JWKS: []byte(`{"keys":[]}`), Now: func() time.Time { return time.Time{} }})
		if err != nil {
			return nil, fmt.Errorf("reading the token of %s: %w", j.TokenFile, err)
		}
		claims = maps.Clone(seen.Payload)
	}
	for _, name := range slices.Sorted(maps.Keys(j.With)) {
		if v := j.With[name]; v == nil {
			delete(claims, name)
		} else {
			claims[name] = v
		}
	}
	// A job that nobody signed is denied by everything: such a test would pass
	// for want of looking.
	if iss, _ := claims["iss"].(string); iss == "" {
		return nil, errors.New("expected claims with the issuer in iss, found none")
	}
	return claims, nil
}

// Known are the jobs of a file, for a comparison. folder is that of the file.
func (f *File) Known(folder string) ([]Known, error) {
	var out []Known
	var errs []error
	asked := map[string][]Ask{}
	for _, t := range f.Tests {
		if t.Policy != "" {
			continue
		}
		for _, name := range t.Jobs {
			if ask := (Ask{t.Pool, t.Basic, t.Role, t.Audience, t.Duration}); !slices.Contains(asked[name], ask) {
				asked[name] = append(asked[name], ask)
			}
		}
	}
	for _, j := range f.Jobs {
		claims, err := j.claims(func(path string) string {
			if filepath.IsAbs(path) {
				return path
			}
			return filepath.Join(folder, path)
		})
		if err != nil {
			errs = append(errs, &source.Error{Position: j.Position, Message: fmt.Sprintf("job %s: %s", j.Name, err), Err: err})
			continue
		}
		out = append(out, Known{Name: j.Name, Claims: claims, Asks: asked[j.Name]})
	}
	return out, errors.Join(errs...)
}
