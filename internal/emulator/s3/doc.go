// Package s3 emulates as much of Amazon S3 as it takes to show attribute-based
// access for real: objects are put, read, listed and deleted by any client of
// the service, and each request is decided by the policies of the session that
// signed it, the bucket policy and the session's tags, as package iam decides.
// It is for development and tests, and is no security boundary.
//
// Codes, statuses and messages are those of the service's documentation. What
// is not emulated is refused with NotImplemented and never ignored, or a
// request would seem to do what it does not.
//
// # Divergences
//
//   - Path style only; buckets are given to New and cannot be made or deleted.
//   - No multipart uploads, copies, versions, object tags, ACLs, encryption but
//     AES256 in name, storage classes but STANDARD, and ListObjectsV2 only.
//   - Requests without a signature are denied, whatever a bucket policy says.
//   - aws:SecureTransport is true although the transport is not secure: S3 is
//     reached by TLS, and policies are to be tried as they stand.
//   - aws:ResourceTag and s3:BucketTag have the bucket's tags, as in a bucket
//     for which attribute-based access is enabled.
//   - An object has at most MaxObjectSize bytes; all together have at most
//     MaxTotalSize bytes and MaxObjects objects.
//   - Keys are any UTF-8, taken literally, also such as S3 may refuse for
//     their periods.
package s3
