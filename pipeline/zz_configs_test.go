package pipeline
import ("testing";"fmt";"os";"encoding/json";"github.com/rpipe-dev/rpipe/configs";"github.com/google/jsonschema-go/jsonschema";"go.yaml.in/yaml/v4";"path/filepath")
func TestZZ(t *testing.T){
 b,_:=configs.Schema(new(File),"https://rpipe.dev/x.json")
 var s jsonschema.Schema; json.Unmarshal(b,&s); r,err:=s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults:true}); fmt.Println("resolve",err)
 fs,_:=filepath.Glob("../configs/examples/*.yaml"); fs2,_:=filepath.Glob("../configs/examples/*/*.yaml"); fs=append(fs,fs2...)
 for _,f:=range fs { d,_:=os.ReadFile(f); var v any; yaml.Unmarshal(d,&v); fmt.Println(f,"schema:",r.Validate(v)); p,ps:=Parse(f,d,nil); ps.Format(os.Stdout,false); n,err:=configs.Normalized(p); fmt.Println(string(n),err)
  q,ps:=Parse(f,n,nil); fmt.Println(ps); m,_:=configs.Normalized(q); fmt.Println("stable",string(m)==string(n)) }
 _,ps:=Parse("bad.yaml",[]byte(`version: 1
source:
  csv: {file: x.csv, delim: ";", header: yes}
stages:
  - select: a
  - rename: {columns: {a: b}}
  - filter: x > 1
  - derive: {a: 1}
  - map: {fn: x, on_error: dead_letter}
  - parquet: {}
sinks:
  - parquet: {path: x}
sink:
  parquet: {pth: x, partition_by: month}
  if_exists: replace
schedule: {cron: x}
`),nil); ps.Format(os.Stdout,false)
}
