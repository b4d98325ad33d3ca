"""The checkout function, as the emulator runs it: orders that are charged at the same time share a pool of connections.

With ten connections for five orders at once nobody waits. With five for eight, some orders find no connection in
time and the invocation fails, as any real one would.
"""

import os
import threading
import time

POOL_SIZE = int(os.environ["DB_POOL_SIZE"])
MAX_CONCURRENT = int(os.environ["MAX_CONCURRENT"])
POOL = threading.BoundedSemaphore(POOL_SIZE)
WORKERS = threading.BoundedSemaphore(MAX_CONCURRENT)
# Seconds. A query holds its connection far longer than anybody waits for one, so that a slow machine changes nothing.
QUERY_TAKES = 0.15
WAITS_AT_MOST = 0.05


def charge(order, failed):
    with WORKERS:
        if not POOL.acquire(timeout=WAITS_AT_MOST):
            failed.append(order)
            return
        try:
            time.sleep(QUERY_TAKES)
        finally:
            POOL.release()


def handler(event, context):
    failed = []
    orders = [threading.Thread(target=charge, args=(order, failed)) for order in event["orders"]]
    for order in orders:
        order.start()
    for order in orders:
        order.join()
    if failed:
        print(
            f"ERROR order {failed[0]} failed: no database connection within {WAITS_AT_MOST * 1000:.0f} ms,"
            f" all {POOL_SIZE} of the pool are in use (db_pool_size={POOL_SIZE}, max_concurrent={MAX_CONCURRENT})"
        )
        raise TimeoutError("database connection pool exhausted")
    print(f"INFO {len(event['orders'])} orders charged")
    return {"charged": len(event["orders"])}
