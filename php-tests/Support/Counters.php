<?php

declare(strict_types=1);

namespace Tests\Support;

/** What a server has counted since its start. */
final class Counters
{
    public function __construct(public readonly int $connections, public readonly int $commands)
    {
    }

    /** What came between an earlier reading and this one; the earlier reading itself was one command. */
    public function since(self $earlier): self
    {
        return new self($this->connections - $earlier->connections, $this->commands - $earlier->commands - 1);
    }
}
