//go:build soak && !long

package estate

import "time"

const lasts = time.Minute
