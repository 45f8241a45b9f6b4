<?php

declare(strict_types=1);

/* The classes of Predis that commands extend, as far as their methods go: for machines without it. */

namespace Predis\Command;

abstract class Command
{
    private array $arguments = [];

    abstract public function getId();

    protected function filterArguments(array $arguments)
    {
        return $arguments;
    }

    public function setArguments(array $arguments)
    {
        $this->arguments = $this->filterArguments($arguments);
    }

    public function getArguments()
    {
        return $this->arguments;
    }

    public function parseResponse($data)
    {
        return $data;
    }
}

abstract class ScriptCommand extends Command
{
    abstract public function getScript();

    protected function getKeysCount()
    {
        return 0;
    }

    public function getId()
    {
        return 'EVALSHA';
    }

    protected function filterArguments(array $arguments)
    {
        return [sha1($this->getScript()), $this->getKeysCount(), ...$arguments];
    }
}

class HashGetAll extends Command
{
    public function getId()
    {
        return 'HGETALL';
    }

    public function parseResponse($data)
    {
        $map = [];
        foreach (array_chunk($data, 2) as [$field, $value]) {
            $map[$field] = $value;
        }

        return $map;
    }
}
