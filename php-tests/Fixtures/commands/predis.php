<?php

declare(strict_types=1);

namespace Tests\Fixtures;

/* What a program written for Predis brings along: its own script, and commands of Predis. */

/** A script as Predis' documentation has them. */
final class IncrementBoth extends \Predis\Command\ScriptCommand
{
    public function getKeysCount()
    {
        return 2;
    }

    public function getScript()
    {
        return "return {redis.call('INCRBY', KEYS[1], ARGV[1]), redis.call('INCRBY', KEYS[2], ARGV[1])}";
    }

    public function parseResponse($data)
    {
        return array_sum($data);
    }
}

/** A raw command under a name of its own. */
final class Reversed extends \Predis\Command\Command
{
    public function getId()
    {
        return 'GET';
    }

    public function parseResponse($data)
    {
        return strrev($data);
    }
}
