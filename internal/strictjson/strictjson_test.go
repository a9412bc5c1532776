package strictjson

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func TestValue(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     any // nil: an error
	}{
		{"object", ` {"a" : [1, -0.5e+3, "x", true, false, null] } `, map[string]any{
			"a": []any{json.Number("1"), json.Number("-0.5e+3"), "x", true, false, nil}}},
		{"a long id keeps its digits", `12345678901234567890123`, json.Number("12345678901234567890123")},
		{"escapes", `"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é"`, "\"\\/\b\f\n\r\té😀é"},
		{"deep enough", nested(MaxDepth)[:MaxDepth] + "1" + nested(MaxDepth)[MaxDepth:], wrap(json.Number("1"), MaxDepth)},
		{"empty ones", `[{},[]]`, []any{map[string]any{}, []any{}}},
		{"same key elsewhere", `{"a":{"a":1}}`, map[string]any{"a": map[string]any{"a": json.Number("1")}}},

		{"too deep", nested(MaxDepth + 1), nil},
		{"very deep", strings.Repeat("[", 1<<20), nil},
		{"doubled key", `{"a":1,"a":1}`, nil},
		{"doubled by escape", `{"a":1,"\u0061":1}`, nil},
		{"doubled inside", `[{"x":{"a":1,"a":2}}]`, nil},
		{"invalid UTF-8", "\"\xff\"", nil},
		{"half a pair", `"\ud83d"`, nil},
		{"halves in the wrong order", `"\ude00\ud83d"`, nil},
		{"half and text", `"\ud83dxude00"`, nil},
		{"control character", "\"a\nb\"", nil},
		{"control character after an escape", "\"\\n\n\"", nil},
		{"unknown escape", `"\x"`, nil},
		{"sign in an escape", `"\u+123"`, nil},
		{"underscore in an escape", `"\u1_23"`, nil},
		{"data after", `{} {}`, nil},
		{"comma at the end", `[1,]`, nil},
		{"comma in front", `[,1]`, nil},
		{"no comma", `[1 2]`, nil},
		{"number for a key", `{1:2}`, nil},
		{"no colon", `{"a" 1}`, nil},
		{"wrong bracket", `[1}`, nil},
		{"leading zero", `01`, nil},
		{"plus", `+1`, nil},
		{"no digit after the point", `1.`, nil},
		{"no digit after e", `1e`, nil},
		{"capital", `True`, nil},
		{"byte order mark", "\ufeff{}", nil},
		{"other space", "\u00a0{}", nil},
		{"nothing", ``, nil},
		{"cut", `{"a":`, nil},
		{"cut string", `"a`, nil},
		{"cut escape", `"\u00`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Value([]byte(c.in))
			if (err == nil) != (c.want != nil) {
				t.Fatalf("got %v, %v", got, err)
			}
			if err == nil && !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %#v", got)
			}
		})
	}
}

func wrap(v any, n int) any {
	for range n {
		v = []any{v}
	}
	return v
}

func TestObjectWantsAnObject(t *testing.T) {
	for _, in := range []string{`[]`, `1`, `"x"`, `null`, `true`} {
		if _, err := Object([]byte(in)); err == nil || !strings.Contains(err.Error(), "expected a JSON object") {
			t.Errorf("%s: %v", in, err)
		}
	}
}

// FuzzAgreesWithEncodingJSON asserts that whatever is accepted is valid to
// encoding/json and means the same there, and that what encoding/json takes is
// refused for one of the reasons of this package only.
func FuzzAgreesWithEncodingJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,"x\u00e9\ud83d\ude00",true,null]}`, `{"a":1,"a":2}`, `"\ud800"`, `[1,]`, "\"\xff\"", nested(40)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Value(data)
		if err == nil {
			d := json.NewDecoder(bytes.NewReader(data))
			d.UseNumber()
			var want any
			if !json.Valid(data) || d.Decode(&want) != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("accepted %q as %#v; encoding/json says %#v", data, got, want)
			}
			again, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := Value(again); err != nil || !reflect.DeepEqual(back, got) {
				t.Fatalf("%q came back as %#v, %v", again, back, err)
			}
			return
		}
		if !json.Valid(data) || !utf8.Valid(data) {
			return
		}
		for _, own := range []string{"stands twice", "nested deeper", "surrogate"} {
			if strings.Contains(err.Error(), own) {
				return
			}
		}
		t.Fatalf("refused %q, which encoding/json takes: %v", data, err)
	})
}
