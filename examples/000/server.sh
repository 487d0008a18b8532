#!/usr/bin/env bash
# The server of plan 000: of the user `admin` on this machine the password is MONGODB_PASSWORD. MONGO_URL is another server, or another user.
percent_encoded() {
    local LC_ALL=C text=$1 i
    for ((i = 0; i < ${#text}; i++)); do
        case ${text:i:1} in
            [a-zA-Z0-9._~-]) printf %s "${text:i:1}" ;;
            *) printf %%%02X "'${text:i:1}" ;;
        esac
    done
}
export MONGO_URL=${MONGO_URL:-mongodb://admin${MONGODB_PASSWORD:+:$(percent_encoded "$MONGODB_PASSWORD")}@localhost:27017/?authSource=admin}
