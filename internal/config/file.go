package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ReadFile reads a regular file of at most most bytes. A pipe or a device in
// its place could keep a broker waiting, or feed it without end.
func ReadFile(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("expected a file, found something else at %s (%s)", path, info.Mode().Type())
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("expected at most %d bytes in %s, found more", most, path)
	}
	return data, nil
}

// Load reads the file at path. A relative store or key set file is relative to
// its folder. The error of a file with mistakes is Problems.
func Load(path string) (*Config, error) {
	data, err := ReadFile(path, MaxFile)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return LoadContent(path, data)
}

// LoadContent is Load of a file whose content has been read.
func LoadContent(path string, data []byte) (*Config, error) {
	c, err := Parse(path, data)
	if err != nil {
		return nil, err
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("finding the configuration's folder: %w", err)
	}
	for i := range c.Issuers {
		if f := c.Issuers[i].JWKSFile; f != "" && !filepath.IsAbs(f) {
			c.Issuers[i].JWKSFile = filepath.Join(folder, f)
		}
	}
	for i, path := range c.AWS.KnownRoles {
		if !filepath.IsAbs(path) {
			c.AWS.KnownRoles[i] = filepath.Join(folder, path)
		}
	}
	if file, ok := strings.CutPrefix(c.Store, "sqlite:"); ok && !filepath.IsAbs(file) {
		c.Store = "sqlite:" + filepath.Join(folder, file)
	}
	return c, nil
}
