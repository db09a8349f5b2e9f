package frame

import (
	"fmt"

	"github.com/rpipe-dev/rpipe/rdata"
)

// inColumn adds to err, which decoding item gave, the column that it is about,
// where one can be told: the names of a data frame stand behind its columns, so
// a number has to do.
func inColumn(item []byte, err error) error {
	columns, split := rdata.SplitList(item, nil)
	if split != nil {
		return err
	}
	for i, c := range columns {
		if _, bad := rdata.UnmarshalItem(c, nil); bad != nil {
			return fmt.Errorf("column %d: %w", i+1, bad)
		}
	}
	return err
}
