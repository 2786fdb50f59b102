"""Orders of batches as the physics program reads them."""

import json
import os
from pathlib import Path

from hsm.physics.batch import Orders


def test_orders_come_in_pieces(tmp_path: Path) -> None:
    """Lines may be cut anywhere; what is not known is passed over; the time of a batch is shared out."""
    reading, writing = os.pipe()
    told = [{"token": name, "directory": "/", "variables": {"HSM_DEADLINE": "160.0"}} for name in "ab"]
    text = json.dumps({"new": 1}) + "\n" + json.dumps({"members": told}) + "\n" + '{"cancel": ["a"]}\n'
    orders = Orders(reading, lambda: 100.0)
    for letter in text.encode():
        os.write(writing, bytes([letter]))
        orders.look()
    os.close(writing)
    (batch,) = list(orders)
    assert [(one.token, one.limit_s) for one in batch] == [("a", 30.0), ("b", 30.0)]
    assert orders.cancelled == {"a"}
    os.close(reading)
