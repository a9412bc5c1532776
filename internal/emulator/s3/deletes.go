package s3

import (
	"bytes"
	"encoding/xml"
)

const (
	// maxDeletes is what one DeleteObjects may name.
	maxDeletes = 1000
	// maxDeleteBody bounds its body, in bytes.
	maxDeleteBody = 2 << 20
)

type deleteRequest struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool     `xml:"Quiet"`
	Objects []struct {
		Key  string `xml:"Key"`
		More []struct {
			XMLName xml.Name
		} `xml:",any"`
	} `xml:"Object"`
}

type deleteResult struct {
	XMLName xml.Name        `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
	Deleted []deletedObject `xml:"Deleted"`
	Errors  []deleteError   `xml:"Error"`
}

type deletedObject struct {
	Key xmlText `xml:"Key"`
}

type deleteError struct {
	Key     xmlText `xml:"Key"`
	Code    string  `xml:"Code"`
	Message xmlText `xml:"Message"`
}

func malformedXML(detail string) *fault {
	return badRequest("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema").because("%s", detail)
}

// deleteObjects answers DeleteObjects. Each object is a decision of its own.
func (c *call) deleteObjects() *fault {
	p, f := c.payload(maxDeleteBody)
	if f != nil {
		return f
	}
	if p.md5 == nil && !p.sent {
		return badRequest("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	var body bytes.Buffer
	if _, f := p.receive(&body); f != nil {
		return f
	}
	var in deleteRequest
	if err := xml.Unmarshal(body.Bytes(), &in); err != nil {
		return malformedXML(err.Error())
	}
	if len(in.Objects) == 0 || len(in.Objects) > maxDeletes {
		return malformedXML("expected 1 to 1000 objects")
	}
	for _, o := range in.Objects {
		if len(o.More) > 0 {
			return notImplemented("DeleteObjects with " + clip(o.More[0].XMLName.Local))
		}
		if o.Key == "" {
			return malformedXML("an object has no key")
		}
	}
	var out deleteResult
	for _, o := range in.Objects {
		f := checkKey(o.Key)
		if f == nil {
			f = c.authorize("s3:DeleteObject", c.objectARN(o.Key), nil)
		}
		if f == nil {
			f = c.s.store.remove(c.bucketName, o.Key, func(*object) *fault { return nil })
		}
		switch {
		case f != nil:
			out.Errors = append(out.Errors, deleteError{Key: text(o.Key), Code: f.code, Message: text(f.message)})
		case !in.Quiet:
			out.Deleted = append(out.Deleted, deletedObject{text(o.Key)})
		}
	}
	return c.answerXML(out)
}
