#!/usr/bin/env bash
# Writes an AWS configuration whose credentials come from `stint
# credential-process`, and points the job's further steps at it. It holds no
# credentials. docs/github-action.md describes it.
set -euo pipefail

fail() {
  local text
  text=$(printf '%s' "$1" | LC_ALL=C tr -c '[:print:]' '?') # an annotation is one line
  printf '::error title=stint::%s\n' "${text//'%'/%25}" >&2
  exit 2
}

# Tools run a credential_process through a shell, so that nothing may stand in it
# which a shell, or the file, gives a meaning.
plain() {
  [[ $2 =~ ^[A-Za-z0-9:/_+=,.@-]*$ ]] || fail "$1: expected letters, digits and any of : / _ + = , . @ -, found \"$2\""
}

: "${RUNNER_TEMP:?}" "${GITHUB_ENV:?}" "${GITHUB_PATH:?}"
url=${INPUT_URL:-${STINT_URL:-}}
role=${INPUT_ROLE:-${STINT_ROLE:-}}
audience=${INPUT_AUDIENCE:-${STINT_AUDIENCE:-}}
profile=${INPUT_PROFILE:-default}
[[ -n $url ]] || fail "url: expected the broker's address, found nothing: give the input url, or set STINT_URL"
[[ $profile =~ ^[A-Za-z0-9_.-]+$ ]] || fail "profile: expected letters, digits and any of _ . -, found \"$profile\""
plain url "$url"
plain role "$role"
plain audience "$audience"
plain duration "${INPUT_DURATION:-}"
plain region "${INPUT_REGION:-}"
[[ -n ${ACTIONS_ID_TOKEN_REQUEST_URL:-} ]] ||
  fail "the job has no permission to ask for a token: add permissions: id-token: write, in the workflow and in the one that calls it (pull requests from forks never have it)"
for name in AWS_ACCESS_KEY_ID AWS_WEB_IDENTITY_TOKEN_FILE; do
  [[ -z ${!name:-} ]] || fail "$name is set, and tools would take its credentials before these: take out what sets it"
done

args=(credential-process --url "$url")
[[ -z $role ]] || args+=(--role "$role")
[[ -z $audience ]] || args+=(--job-audience "$audience")
[[ -z ${INPUT_DURATION:-} ]] || args+=(--duration "$INPUT_DURATION")
while read -r hop; do
  [[ -z $hop ]] && continue
  plain chain "$hop"
  args+=(--chain "$hop")
done <<<"${INPUT_CHAIN:-}"

folder=$RUNNER_TEMP/stint
mkdir -p -m 700 "$folder"
if ! command=$(command -v stint); then
  command -v go >/dev/null || fail "there is neither stint nor Go on this runner: put the stint binary on PATH, or add actions/setup-go"
  echo "building stint from $GITHUB_ACTION_PATH"
  (cd "$GITHUB_ACTION_PATH" && CGO_ENABLED=0 go build -trimpath -o "$folder/bin/stint" ./cmd/stint)
  command=$folder/bin/stint
  echo "$folder/bin" >>"$GITHUB_PATH"
fi
[[ $command =~ ^[A-Za-z0-9:/_+=,.@\ -]+$ ]] || fail "the path of stint, \"$command\", holds characters that a shell gives a meaning"

# Said here, a denial stands at the step that is about it.
[[ -z ${INPUT_REGION:-} ]] || export AWS_REGION=$INPUT_REGION
"$command" "${args[@]}" >/dev/null

config=$folder/aws-config
section="[profile $profile]"
[[ $profile != default ]] || section="[default]"
if [[ -e $config ]] && grep -qxF "$section" "$config"; then
  fail "the profile $profile is configured already: give each role a profile of its own"
fi
if [[ -n ${AWS_CONFIG_FILE:-} && $AWS_CONFIG_FILE != "$config" && -s $AWS_CONFIG_FILE ]]; then
  echo "::warning title=stint::AWS_CONFIG_FILE was set to another file, which the steps that follow do not read"
fi
{
  echo "$section"
  echo "credential_process = \"$command\" ${args[*]}"
  [[ -z ${INPUT_REGION:-} ]] || echo "region = $INPUT_REGION"
} >>"$config"
{
  echo "AWS_CONFIG_FILE=$config"
  echo "AWS_SDK_LOAD_CONFIG=1" # the SDK for Go v1 reads no configuration without it
  echo "STINT_URL=$url"
  [[ -z $audience ]] || echo "STINT_AUDIENCE=$audience"
  [[ -z ${INPUT_REGION:-} ]] || printf 'AWS_REGION=%s\nAWS_DEFAULT_REGION=%s\n' "$INPUT_REGION" "$INPUT_REGION"
} >>"$GITHUB_ENV"
echo "the profile $profile has credentials of ${role:-the first role that the rules give}"
