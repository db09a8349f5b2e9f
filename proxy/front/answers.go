package front

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/rs/cors"

	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// middleware answers preflight requests and adds the headers to others.
func (c *CORS) middleware() func(http.Handler) http.Handler {
	rules := cors.New(cors.Options{
		AllowedOrigins: c.Origins, AllowedMethods: c.Methods, AllowedHeaders: c.Headers, ExposedHeaders: c.Expose,
		AllowCredentials: c.Credentials, MaxAge: int(time.Duration(c.MaxAge).Seconds()),
	})
	return func(next http.Handler) http.Handler {
		return rules.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if own, ok := w.(*writer); ok { // R code that allows every site does not open one that has rules
				own.cors = http.Header{}
				for _, name := range allowances {
					if v := w.Header()[name]; v != nil {
						own.cors[name] = v
					}
				}
			}
			next.ServeHTTP(w, r)
		}))
	}
}

// outgoing makes what a policy says of answers.
func (f *Front) outgoing(p *Policy) (func(next http.Handler) http.Handler, error) {
	pack, err := p.Compress.middleware()
	if err != nil || p.MaxResponse == 0 {
		return pack, err
	}
	return func(next http.Handler) http.Handler {
		return pack(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			l := &limited{ResponseWriter: w, r: r, fault: f.deps.Fault, most: int64(p.MaxResponse)}
			next.ServeHTTP(l, r)
			l.finish()
		}))
	}, nil
}

// middleware compresses answers, but never what streams.
func (c *Compress) middleware() (func(http.Handler) http.Handler, error) {
	if c == nil {
		return func(next http.Handler) http.Handler { return next }, nil
	}
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(int(c.Min)), gzhttp.CompressionLevel(c.Level), gzhttp.EnableZstd(false),
		gzhttp.ContentTypeFilter(func(ct string) bool { return compressible(c.Types, ct) }))
	if err != nil {
		return nil, err
	}
	return func(next http.Handler) http.Handler {
		packed := wrap(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header["Upgrade"] != nil || strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
				next.ServeHTTP(w, r)
				return
			}
			packed.ServeHTTP(w, r)
		})
	}, nil
}

func compressible(types []string, ct string) bool {
	ct, _, _ = strings.Cut(ct, ";")
	ct = strings.ToLower(strings.TrimSpace(ct))
	if ct == "text/event-stream" {
		return false
	}
	for _, t := range types {
		if begin, all := strings.CutSuffix(t, "*"); ct == t || all && strings.HasPrefix(ct, begin) {
			return true
		}
	}
	return false
}

// limited refuses an answer that is too large. The status waits for the first of
// the body: it may have to be another one.
type limited struct {
	http.ResponseWriter
	r       *http.Request
	fault   fault.Writer
	most    int64
	status  int
	out     bool // the status is written
	written int64
	refused bool
}

func (l *limited) Unwrap() http.ResponseWriter { return l.ResponseWriter }

func (l *limited) WriteHeader(status int) {
	if status >= 100 && status < 200 {
		l.out = l.out || status == http.StatusSwitchingProtocols
		l.ResponseWriter.WriteHeader(status)
		return
	}
	if l.status != 0 || l.out {
		return
	}
	l.status = status
	if n, err := strconv.ParseInt(l.Header().Get("Content-Length"), 10, 64); err == nil && n > l.most && l.r.Method != http.MethodHead {
		l.refuse()
	}
}

func (l *limited) Write(p []byte) (int, error) {
	if l.refused {
		return 0, errTooLarge
	}
	if l.written+int64(len(p)) > l.most {
		if l.out { // a stream: what is out cannot be taken back
			l.refused = true
			panic(http.ErrAbortHandler)
		}
		l.refuse()
		return 0, errTooLarge
	}
	l.begin()
	n, err := l.ResponseWriter.Write(p)
	l.written += int64(n)
	return n, err
}

func (l *limited) begin() {
	if !l.out {
		l.out = true
		if l.status != 0 {
			l.ResponseWriter.WriteHeader(l.status)
		}
	}
}

func (l *limited) refuse() {
	l.refused, l.out = true, true
	clear(l.Header())
	l.fault.Write(l.ResponseWriter, l.r, errTooLarge)
}

// FlushError is Flush for http.ResponseController.
func (l *limited) FlushError() error {
	if l.refused {
		return nil
	}
	l.begin()
	return http.NewResponseController(l.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (l *limited) Flush() { l.FlushError() }

func (l *limited) finish() {
	if !l.refused {
		l.begin()
	}
}

var errTooLarge = fault.New(http.StatusInternalServerError, "response_too_large", "the answer is larger than max_response allows")
