"""Signs in to databases as AWS's own tools do: the same as `aws rds generate-db-auth-token`, at a moment that is given."""
import datetime
import json
import sys

import botocore.auth
import botocore.session


def at(text):
    moment = datetime.datetime.strptime(text, "%Y%m%dT%H%M%SZ")
    if hasattr(botocore.auth, "get_current_datetime"):
        botocore.auth.get_current_datetime = lambda *_, **__: moment
        return

    class Then(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return moment

    botocore.auth.datetime.datetime = Then


tokens = []
for case in json.load(sys.stdin):
    at(case["date"])
    rds = botocore.session.Session().create_client(
        "rds", region_name=case["region"], aws_access_key_id=case["id"], aws_secret_access_key=case["secret"], aws_session_token=case["session"] or None
    )
    tokens.append(rds.generate_db_auth_token(case["host"], case["port"], case["user"]))
json.dump(tokens, sys.stdout)
