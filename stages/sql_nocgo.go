//go:build !cgo

package stages

import "errors"

func openSQL(sqlOptions) (sqlDatabase, error) {
	return nil, errors.New("this rpipe was built without cgo, and filter, derive, aggregate, reduce and sql need the SQL engine that comes with it: use a released rpipe for Linux or macOS, or build with CGO_ENABLED=1 and a C++ compiler")
}
