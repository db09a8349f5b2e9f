//go:build unix

package main

import (
	"fmt"
	"os/exec"
	"strings"
)

func versionOf(module string) (string, error) {
	out, err := exec.Command(*python, "-c", fmt.Sprintf("import %s; print(%[1]s.__version__)", module)).Output()
	if err != nil {
		return "", fmt.Errorf("%s cannot import it", *python)
	}
	return strings.TrimSpace(string(out)), nil
}
