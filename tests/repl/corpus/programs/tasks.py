import asyncio
from asyncio import Queue, Semaphore


async def worker(name, queue, results):
    while not queue.empty():
        item = await queue.get()
        await asyncio.sleep(0.001 * item)
        results.append((name, item))
        queue.task_done()


async def main():
    q = Queue()
    for i in range(4):
        q.put_nowait(i)
    results = []
    await asyncio.gather(worker("a", q, results), worker("b", q, results))
    sem = Semaphore(2)

    async def limited(n):
        async with sem:
            await asyncio.sleep(0)
            return n * n

    tasks = [asyncio.create_task(limited(i)) for i in range(3)]
    done = [await t for t in asyncio.as_completed(tasks)]
    try:
        await asyncio.wait_for(asyncio.sleep(5), timeout=0.01)
    except asyncio.TimeoutError:
        print("timeout")
    async with asyncio.TaskGroup() as tg:
        t1 = tg.create_task(limited(7))
    errs = await asyncio.gather(asyncio.sleep(0), fail(), return_exceptions=True)
    print(sorted(results), sorted(done), t1.result(), t1.done(), [repr(e) for e in errs])
    print([x async for x in agen(3)], await asyncio.to_thread(pow, 2, 5))
    ev = asyncio.Event()
    asyncio.get_running_loop().create_task(setter(ev))
    await ev.wait()
    return "done"


async def setter(ev):
    ev.set()


async def fail():
    raise ValueError("async boom")


async def agen(n):
    for i in range(n):
        yield i
        await asyncio.sleep(0)


print(asyncio.run(main()))
loop = asyncio.new_event_loop()
print(loop.run_until_complete(asyncio.sleep(0, "slept")))
loop.close()
