<?php

declare(strict_types=1);

namespace Tests\Fixtures;

use ResilientRedis\Command\ScriptCommand;

/** Adds to a counter, and gives its value. */
class Add extends ScriptCommand
{
    public static int $constructed = 0;

    public function __construct()
    {
        self::$constructed++;
    }

    public function getKeysCount()
    {
        return 1;
    }

    public function getScript()
    {
        return "return redis.call('INCRBY', KEYS[1], ARGV[1])";
    }
}

/** The fields of hashes as an associative array; the last argument is no key. */
final class FirstField extends ScriptCommand
{
    public function getKeysCount(): int
    {
        return -1;
    }

    public function getScript(): string
    {
        return "local all = {} for at, key in ipairs(KEYS) do all[at] = redis.call('HGET', key, ARGV[1]) or '' end return all";
    }

    public function isReadOnly(): bool
    {
        return true;
    }

    public function parseResponse($data)
    {
        return array_combine($this->getKeys(), $data);
    }
}

/** Does something before it gives its arguments. */
final class Preparing extends Add
{
    public static ?\Closure $action = null;

    public function getArguments()
    {
        if (self::$action !== null) {
            (self::$action)();
        }

        return parent::getArguments();
    }
}

final class Failing extends Add
{
    public function getScript(): string
    {
        return "redis.call('INCR', KEYS[1]) return {err = 'MINE it failed'}";
    }
}

/** A script as a class that knows nothing of ours: what Predis' own are to us. */
final class Foreign
{
    private array $words = [];

    public function getId(): string
    {
        return 'EVALSHA';
    }

    public function getScript(): string
    {
        return "return ARGV[1] .. '!'";
    }

    public function getKeysCount(): int
    {
        return 0;
    }

    public function setArguments(array $arguments): void
    {
        $this->words = [sha1($this->getScript()), 0, ...$arguments];
    }

    public function getArguments(): array
    {
        return $this->words;
    }

    public function parseResponse(mixed $data): mixed
    {
        return strtoupper($data);
    }
}
