# A policy over a saved plan: what a team wants to be asked about before anybody may approve it. Prints one line for each
# change that goes against it, and nothing where the plan is fine:
#
#   setpoint plan --out plan.json
#   against=$(jq --raw-output --from-file plan.jq --arg most 5 plan.json)
#   [ -z "$against" ] || { printf '%s\n' "$against"; exit 1; }
#
# The same questions can be asked with any tool that reads JSON; docs/json.md says what stays as it is.

def attribute($path): (.attributes // [])[] | select(.path == $path) | .after;

  ( .changes[] | select(.actions == ["create", "delete"])
    | "\(.address): replaces the application, which drops every token it gave out" ),
  ( .changes[] | select(.interrupts != null)
    | "\(.address): Factory is cut off until \(.interrupts.until)" ),
  ( .changes[] | select(.address | startswith("gitlab.membership"))
    | select([attribute("role")] | any(. == "owner" or . == "maintainer"))
    | "\(.address): a role above developer" ),
  ( [.changes[] | select(.actions == ["delete"])]
    | select(length > ($most | tonumber))
    | "\(length) removals, more than \($most)" )
