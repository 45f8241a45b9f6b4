<?php

declare(strict_types=1);

namespace Tests\Fixtures;

use ResilientRedis\Command\RawCommand;

/** GET, as JSON. */
final class JsonGet extends RawCommand
{
    public function getId()
    {
        return 'GET';
    }

    public function parseResponse($data)
    {
        return $data === null ? null : json_decode($data, true, 512, JSON_THROW_ON_ERROR);
    }
}

/** A method of the table with another reply. */
final class LoudGet extends RawCommand
{
    public function getId()
    {
        return 'GET';
    }

    public function parseResponse($data)
    {
        return "<$data>";
    }
}

final class Demanding extends RawCommand
{
    public function __construct(string $needed)
    {
        parent::__construct('GET', [$needed]);
    }
}

final class Hidden extends RawCommand
{
    private function __construct()
    {
        parent::__construct('PING');
    }
}

final class Exploding extends RawCommand
{
    public static int $destructed = 0;

    public function __construct()
    {
        throw new \DomainException('not today');
    }

    public function __destruct()
    {
        self::$destructed++;
    }
}

abstract class Unfinished extends RawCommand
{
}

final class Nameless extends RawCommand
{
}

final class NoCommand
{
}

/** As Predis' commands are under RESP3. */
final class TwoParsers extends RawCommand
{
    public function getId()
    {
        return 'HGETALL';
    }

    public function parseResponse($data)
    {
        return ['resp2', $data];
    }

    public function parseResp3Response($data)
    {
        return ['resp3', $data];
    }
}

/** Uses its client in the middle of everything. */
final class Meddling extends RawCommand
{
    public static ?\Closure $action = null;

    public function getId()
    {
        return 'GET';
    }

    public function parseResponse($data)
    {
        return [$data, (self::$action)()];
    }
}
