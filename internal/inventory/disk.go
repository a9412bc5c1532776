package inventory

import (
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// disk is where files are.
type disk interface {
	// real is a path by which two names of the same file are told.
	real(name string) (string, error)
	stat(name string) (fs.FileInfo, error)
	readDir(name string) ([]fs.DirEntry, error)
	readFile(name string, most int64) ([]byte, error)
	join(folder, name string) string
}

type osDisk struct{}

func (osDisk) real(name string) (string, error) {
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(real)
}

func (osDisk) stat(name string) (fs.FileInfo, error)      { return os.Stat(name) }
func (osDisk) readDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }
func (osDisk) join(folder, name string) string            { return filepath.Join(folder, name) }

func (osDisk) readFile(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

type fsDisk struct{ fs.FS }

func (d fsDisk) real(name string) (string, error)           { return path.Clean(name), nil }
func (d fsDisk) stat(name string) (fs.FileInfo, error)      { return fs.Stat(d.FS, name) }
func (d fsDisk) readDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(d.FS, name) }
func (d fsDisk) join(folder, name string) string            { return path.Join(folder, name) }

func (d fsDisk) readFile(name string, most int64) ([]byte, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// changedDisk is a disk on which some files have another content.
type changedDisk struct {
	disk
	changed map[string][]byte
}

func (d changedDisk) readFile(name string, most int64) ([]byte, error) {
	if data, ok := d.changed[name]; ok {
		return data[:min(int64(len(data)), most)], nil
	}
	return d.disk.readFile(name, most)
}
