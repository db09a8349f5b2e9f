package trace

import (
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
)

func TestTheEnvironmentSaysWhatTheFileDoesNot(t *testing.T) {
	from := func(c Config, env ...string) (Config, error) {
		vars := map[string]string{}
		for _, e := range env {
			k, v, _ := strings.Cut(e, "=")
			vars[k] = v
		}
		return c.from(func(name string) string { return vars[name] })
	}
	f := func(c Config, endpoint, protocol string, env ...string) Config {
		t.Helper()
		got, err := from(c, env...)
		if err != nil || got.Endpoint != endpoint || got.Protocol != protocol {
			t.Errorf("%v: got %q %q, %v", env, got.Endpoint, got.Protocol, err)
		}
		return got
	}
	file := Config{Protocol: "http", Sample: 1}
	f(file, "", "http")
	f(file, "http://a:4318", "http", "OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4318")
	f(file, "http://a:4317", "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
	f(file, "http://b:1", "http", "OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://b:1/v1/traces")
	f(file, "", "http", "OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4318", "OTEL_SDK_DISABLED=true")
	f(file, "", "http", "OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4318", "OTEL_TRACES_EXPORTER=none")
	own := file
	own.Endpoint = "http://own:1"
	f(own, "http://own:1", "http", "OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4318", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
	c := f(file, "http://a:1", "http", "OTEL_EXPORTER_OTLP_ENDPOINT=http://a:1", "OTEL_EXPORTER_OTLP_HEADERS=a=b%20c, d=e",
		"OTEL_SERVICE_NAME=mine", "OTEL_RESOURCE_ATTRIBUTES=team=x,service.name=other", "OTEL_TRACES_SAMPLER_ARG=0.25")
	if string(c.Headers["a"]) != "b c" || string(c.Headers["d"]) != "e" || c.ServiceName != "mine" || c.Attributes["team"] != "x" || c.Sample != 0.25 {
		t.Errorf("got %+v", c)
	}

	filled := file
	filled.Headers, filled.Attributes = map[string]configs.Secret{"a": "file"}, map[string]string{"team": "file"}
	c = f(filled, "http://a:1", "http", "OTEL_EXPORTER_OTLP_ENDPOINT=http://a:1", "OTEL_EXPORTER_OTLP_HEADERS=a=b,d=e", "OTEL_RESOURCE_ATTRIBUTES=team=x,zone=y")
	if c.Headers["a"] != "file" || c.Headers["d"] != "e" || c.Attributes["team"] != "file" || c.Attributes["zone"] != "y" {
		t.Errorf("what the file says is overridden, or not added to: %+v", c)
	}
	if len(filled.Headers) != 1 || len(filled.Attributes) != 1 {
		t.Errorf("the file has changed: %v %v", filled.Headers, filled.Attributes)
	}

	bad := func(want string, env ...string) {
		t.Helper()
		_, err := from(file, append(env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://a:1")...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: got %v", env, err)
		}
	}
	bad("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL=http/json")
	bad("OTEL_EXPORTER_OTLP_HEADERS: item 2", "OTEL_EXPORTER_OTLP_HEADERS=a=b,hunter2")
	for _, share := range []string{"2", "-1", "NaN", "0.5 of all", "0.5,1"} {
		bad("OTEL_TRACES_SAMPLER_ARG", "OTEL_TRACES_SAMPLER_ARG="+share)
	}
	if _, err := from(file, "OTEL_EXPORTER_OTLP_ENDPOINT=a:4318"); err == nil || !strings.Contains(err.Error(), "such as http://localhost:4318") {
		t.Errorf("got %v", err)
	}
}

func TestAWrongEndpointIsSaid(t *testing.T) {
	f := func(endpoint, protocol, want string) {
		t.Helper()
		got := ""
		(&Config{Endpoint: endpoint, Protocol: protocol}).Check(func(field, message, _ string) { got = field + " " + message })
		if got != want {
			t.Errorf("%s: got %q", endpoint, got)
		}
	}
	f("", "http", "")
	f("https://c.example/otlp", "http", "")
	f("http://c:4317", "grpc", "")
	f("http://c:4317/x", "grpc", "endpoint has a path, and gRPC has none")
	f("localhost:4318", "http", "endpoint is no URL of http or https")
	f("http://u:p@c", "http", "endpoint has a password in it: use headers")
}
