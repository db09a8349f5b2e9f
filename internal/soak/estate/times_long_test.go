//go:build long

package estate

import "time"

const lasts = 10 * time.Minute
