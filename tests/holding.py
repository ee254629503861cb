"""Those who look after runs, as the sweep of a log asks them."""


class Holding:
    """Those who hold some runs."""

    def __init__(self, *run_ids):
        self.run_ids = set(run_ids)
        self.asked = self.settled = ()

    async def find_held(self, runs):
        self.asked = (*self.asked, *(run.run_id for run in runs))
        return self.run_ids

    async def explain(self, run):
        return f"{run.run_id} was left"

    async def settle(self, run):
        self.settled = (*self.settled, run.run_id)
