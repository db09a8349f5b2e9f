package trace

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
)

// Config is the tracing block of configuration files.
type Config struct {
	Endpoint    string                    `yaml:"endpoint" example:"http://localhost:4318" doc:"URL of an OpenTelemetry collector that takes OTLP. A URL of https is asked with TLS. Empty traces nothing, unless the environment variable OTEL_EXPORTER_OTLP_ENDPOINT is set."`
	Protocol    string                    `yaml:"protocol" default:"http" enum:"http|grpc" doc:"http: OTLP as protobuf over HTTP, usually at port 4318; grpc: over gRPC, usually at port 4317."`
	Sample      float64                   `yaml:"sample" default:"1" min:"0" max:"1" doc:"Share of the traces begun here that are recorded. A request that comes with a traceparent header is part of the trace that this names, and recorded where that is."`
	Headers     map[string]configs.Secret `yaml:"headers" doc:"Headers of each request to the collector. Their values are never printed." example:"{authorization: 'Bearer ${TOKEN}'}"`
	CA          string                    `yaml:"ca" doc:"File with the authorities of the collector's certificate, in PEM, in place of the system's."`
	ServiceName string                    `yaml:"service_name" doc:"What the traces call this service. Empty: rpipe-serve, rpipe-worker, rpipe-proxy or rpipe-run."`
	Attributes  map[string]string         `yaml:"attributes" doc:"What all spans say of this service, beside host and process." example:"{deployment.environment.name: production}"`
}

// Check implements configs.Checker.
func (c *Config) Check(report func(field, message, hint string)) {
	if c.Endpoint == "" {
		return
	}
	if _, err := c.url(); err != nil {
		report("endpoint", err.Error(), "such as http://localhost:4318")
	}
}

func (c *Config) url() (*url.URL, error) {
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil:
		return nil, fmt.Errorf("is no URL: %w", err)
	case u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("is no URL of http or https")
	case u.User != nil:
		return nil, fmt.Errorf("has a password in it: use headers")
	case c.Protocol == "grpc" && strings.Trim(u.Path, "/") != "":
		return nil, fmt.Errorf("has a path, and gRPC has none")
	}
	return u, nil
}

// FromEnv fills in what the file has not said from the environment, by the names of
// OpenTelemetry: OTEL_EXPORTER_OTLP_ENDPOINT, …_PROTOCOL, …_HEADERS, …_CERTIFICATE, their
// forms with TRACES_ before the last word, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
// OTEL_TRACES_SAMPLER_ARG, and OTEL_SDK_DISABLED, which turns all of it off. Where the file
// names an endpoint, it alone counts.
func (c Config) FromEnv() (Config, error) { return c.from(os.Getenv) }

func (c Config) from(getenv func(string) string) (Config, error) {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") {
		c.Endpoint = ""
		return c, nil
	}
	if c.Endpoint != "" {
		return c, nil
	}
	first := func(names ...string) string {
		for _, name := range names {
			if v := strings.TrimSpace(getenv(name)); v != "" {
				return v
			}
		}
		return ""
	}
	const otlp = "OTEL_EXPORTER_OTLP_"
	traces := first(otlp + "TRACES_ENDPOINT")
	if c.Endpoint = traces; traces == "" {
		if c.Endpoint = first(otlp + "ENDPOINT"); c.Endpoint == "" {
			return c, nil
		}
	}
	if e := first("OTEL_TRACES_EXPORTER"); e == "none" {
		c.Endpoint = ""
		return c, nil
	}
	switch p := first(otlp+"TRACES_PROTOCOL", otlp+"PROTOCOL"); p {
	case "":
	case "grpc":
		c.Protocol = "grpc"
	case "http/protobuf", "http":
		c.Protocol = "http"
	default:
		return c, fmt.Errorf("%sPROTOCOL: %q is none of grpc and http/protobuf", otlp, p)
	}
	if traces != "" && c.Protocol != "grpc" {
		// By OpenTelemetry's rules the whole of it is the URL then.
		c.Endpoint = strings.TrimSuffix(c.Endpoint, defaultPath)
	}
	var err error
	text := first(otlp+"TRACES_HEADERS", otlp+"HEADERS")
	headers, err := pairs(text)
	if err != nil {
		return c, fmt.Errorf("%sHEADERS: %w", otlp, err)
	}
	all := make(map[string]configs.Secret, len(headers)) // not the file's own: that is compared at a reload
	for k, v := range headers {
		all[k] = configs.Secret(v)
	}
	maps.Copy(all, c.Headers)
	c.Headers = all
	if c.CA == "" {
		c.CA = first(otlp+"TRACES_CERTIFICATE", otlp+"CERTIFICATE")
	}
	if c.ServiceName == "" {
		c.ServiceName = first("OTEL_SERVICE_NAME")
	}
	attributes, err := pairs(first("OTEL_RESOURCE_ATTRIBUTES"))
	if err != nil {
		return c, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	if c.ServiceName == "" {
		c.ServiceName = attributes["service.name"]
	}
	delete(attributes, "service.name")
	maps.Copy(attributes, c.Attributes)
	c.Attributes = attributes
	if s := first("OTEL_TRACES_SAMPLER_ARG"); s != "" {
		if c.Sample, err = strconv.ParseFloat(s, 64); err != nil || !(c.Sample >= 0 && c.Sample <= 1) { // NaN is neither
			return c, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG: %q is no number between 0 and 1", s)
		}
	}
	if c.Protocol == "" {
		c.Protocol = "http"
	}
	if _, err := c.url(); err != nil {
		return c, fmt.Errorf("%sENDPOINT %w: such as http://localhost:4318", otlp, err)
	}
	return c, nil
}

// pairs are those of a=b,c=d, whose values are escaped as in URLs. Errors do not have
// the values, which may be secrets.
func pairs(text string) (map[string]string, error) {
	all := map[string]string{}
	for i, p := range strings.Split(text, ",") {
		if strings.TrimSpace(p) == "" {
			continue
		}
		k, v, ok := strings.Cut(p, "=")
		v, err := url.PathUnescape(strings.TrimSpace(v))
		if !ok || err != nil || strings.TrimSpace(k) == "" {
			return nil, fmt.Errorf("item %d is not of the form name=value", i+1)
		}
		all[strings.TrimSpace(k)] = v
	}
	return all, nil
}
