package dashboard

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"
)

// chart is a figure of a series: bars on each other, or lines. Its svg is stretched to
// the room that there is; texts stand around it.
type chart struct {
	ID, Title string
	Summary   string // the same in words, for who cannot see it
	Keys      []key
	Log       bool // the scale is logarithmic
	Top       string
	Middle    string
	Bottom    string
	From, To  time.Time
	SVG       template.HTML
	Rows      []chartRow // the same as a table
	Empty     bool
	Data      string // by step and line, for reading off: "a,b;c,d"
	Step      float64
}

// key is a line of a chart: its name and what is to be said of it.
type key struct{ Name, Class, Figure string }

type chartRow struct {
	From  time.Time
	Cells []string
}

// line is what is drawn: a value for each step, NaN where there is none.
type line struct {
	name, class string
	values      []float64
}

const (
	chartW, chartH = 720.0, 120.0
	tableRows      = 12
)

// bars draws lines as bars on each other; unit writes a value.
func bars(id, title string, from time.Time, step time.Duration, unit func(float64) string, lines ...line) *chart {
	c := newChart(id, title, from, step, lines)
	n := steps(lines)
	most := 0.0
	for i := range n {
		sum := 0.0
		for _, l := range lines {
			sum += known(l.values[i])
		}
		most = max(most, sum)
	}
	c.Empty = most == 0
	top := niceTop(most)
	c.Top, c.Middle, c.Bottom = unit(top), unit(top/2), "0"
	var b strings.Builder
	grid(&b)
	w := chartW / float64(n)
	for k, l := range lines {
		fmt.Fprintf(&b, `<path class="fill %s" d="`, l.class)
		for i := range n {
			v := known(l.values[i])
			if v == 0 {
				continue
			}
			below := 0.0
			for _, o := range lines[:k] {
				below += known(o.values[i])
			}
			h := v / top * chartH
			fmt.Fprintf(&b, "M%.1f %.1fh%.2fv%.2fh-%.2fz", float64(i)*w, chartH-below/top*chartH, w*0.82, -h, w*0.82)
		}
		b.WriteString(`"/>`)
	}
	c.SVG = template.HTML(b.String())
	c.table(from, step, lines, unit, true)
	return c
}

// curves draws lines; with log on a logarithmic scale.
func curves(id, title string, from time.Time, step time.Duration, log bool, unit func(float64) string, lines ...line) *chart {
	c := newChart(id, title, from, step, lines)
	c.Log = log
	n := steps(lines)
	least, most := math.Inf(1), 0.0
	for _, l := range lines {
		for _, v := range l.values {
			if !math.IsNaN(v) {
				most = max(most, v)
				if v > 0 {
					least = min(least, v)
				}
			}
		}
	}
	c.Empty = most == 0
	y := func(v float64) float64 { return chartH - v/niceTop(most)*chartH }
	if log && most > 0 {
		bottom, top := math.Pow(10, math.Floor(math.Log10(least))), math.Pow(10, math.Ceil(math.Log10(most)))
		if top <= bottom {
			top = bottom * 10
		}
		y = func(v float64) float64 {
			return chartH - math.Log(max(v, bottom)/bottom)/math.Log(top/bottom)*chartH
		}
		c.Top, c.Middle, c.Bottom = unit(top), unit(math.Sqrt(top*bottom)), unit(bottom)
	} else {
		c.Top, c.Middle, c.Bottom = unit(niceTop(most)), unit(niceTop(most)/2), "0"
	}
	var b strings.Builder
	grid(&b)
	for _, l := range lines {
		fmt.Fprintf(&b, `<path class="curve %s" d="`, l.class)
		pen := false
		for i, v := range l.values {
			if math.IsNaN(v) {
				pen = false
				continue
			}
			letter := "M"
			if pen {
				letter = "L"
			}
			fmt.Fprintf(&b, "%s%.1f %.1f", letter, (float64(i)+0.5)*chartW/float64(n), y(v))
			if !pen {
				b.WriteString("h.01") // one value alone is a dot
			}
			pen = true
		}
		b.WriteString(`"/>`)
	}
	c.SVG = template.HTML(b.String())
	c.table(from, step, lines, unit, false)
	return c
}

func newChart(id, title string, from time.Time, step time.Duration, lines []line) *chart {
	c := &chart{ID: id, Title: title, From: from, To: from.Add(step * time.Duration(steps(lines))), Step: step.Seconds()}
	for _, l := range lines {
		c.Keys = append(c.Keys, key{Name: l.name, Class: l.class})
	}
	var b strings.Builder
	for i := range steps(lines) {
		if i > 0 {
			b.WriteByte(';')
		}
		for k, l := range lines {
			if k > 0 {
				b.WriteByte(',')
			}
			if v := l.values[i]; !math.IsNaN(v) {
				fmt.Fprintf(&b, "%.4g", v)
			}
		}
	}
	c.Data = b.String()
	return c
}

// table is the chart in a few rows: sums of bars, and the most of lines.
func (c *chart) table(from time.Time, step time.Duration, lines []line, unit func(float64) string, sum bool) {
	n := steps(lines)
	size := (n + tableRows - 1) / tableRows
	for i := 0; i < n; i += size {
		row := chartRow{From: from.Add(step * time.Duration(i))}
		for _, l := range lines {
			v, any := 0.0, false
			for _, x := range l.values[i:min(i+size, n)] {
				if math.IsNaN(x) {
					continue
				}
				any = true
				if sum {
					v += x
				} else {
					v = max(v, x)
				}
			}
			text := "–"
			if any {
				text = unit(v)
			}
			row.Cells = append(row.Cells, text)
		}
		c.Rows = append(c.Rows, row)
	}
}

func grid(b *strings.Builder) {
	fmt.Fprintf(b, `<path class="grid" d="M0 .5H%.0fM0 %.1fH%.0f"/>`, chartW, chartH/2, chartW)
}

func steps(lines []line) int {
	if len(lines) == 0 {
		return 0
	}
	return len(lines[0].values)
}

func known(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// niceTop is the next of 1, 2, 4, 5, 10, 20, …, which the scale ends with.
func niceTop(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, k := range []float64{1, 2, 4, 5, 6, 8, 10} {
		if k*unit >= v*0.999999 {
			return k * unit
		}
	}
	return 10 * unit
}

func floats(ns []int64) []float64 {
	out := make([]float64, len(ns))
	for i, n := range ns {
		out[i] = float64(n)
	}
	return out
}

func maybeInts(ns []*int64) []float64 {
	out := make([]float64, len(ns))
	for i, n := range ns {
		out[i] = math.NaN()
		if n != nil {
			out[i] = float64(*n)
		}
	}
	return out
}

func maybeFloats(vs []*float64) []float64 {
	out := make([]float64, len(vs))
	for i, v := range vs {
		out[i] = math.NaN()
		if v != nil {
			out[i] = *v
		}
	}
	return out
}
